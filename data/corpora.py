"""Reads the three sources into plain rows: question pairs, conversations, dictionary senses.

Yields cleaned rows in a fixed order; which of them are shipped is build_corpora.py's business.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import yaml
from cleaning import ORDINARY, is_clean, tidy

from qtha_lab.tasks.splits import normalised

# these files are dialogues, line after line; in the others a question is followed by alternative
# answers
DIALOGUES = {"conversations", "health", "trivia", "sports", "literature", "psychology"}
# tech_support has 1,050 questions and 10 answers
DROPPED = {"tech_support"}
PART_OF_SPEECH = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
NOUNS = (
    "Tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
)
VERBS = (
    "body",
    "change",
    "cognition",
    "communication",
    "competition",
    "consumption",
    "contact",
    "creation",
    "emotion",
    "motion",
    "perception",
    "possession",
    "social",
    "stative",
    "weather",
)
LEXICOGRAPHER_FILES = [
    "adj.all",
    "adj.pert",
    "adv.all",
    *(f"noun.{n}" for n in NOUNS),
    *(f"verb.{v}" for v in VERBS),
    "adj.ppl",
]


def question_pairs(wheel: zipfile.ZipFile, profane: frozenset[str]) -> Iterator[dict]:
    """One answer per question: {"prompt", "response", "topic"}."""
    questions, answers = set(), set()
    for name in sorted(n for n in wheel.namelist() if re.fullmatch(r".*data/english/\w+\.yml", n)):
        topic = Path(name).stem
        if topic in DROPPED:
            continue
        for lines in yaml.safe_load(wheel.read(name))["conversations"]:
            lines = [tidy(str(line)) if "```" not in str(line) else "" for line in lines]
            pairs = (
                list(zip(lines[::2], lines[1::2], strict=False))
                if topic in DIALOGUES
                else [tuple(lines[:2])]
            )
            for prompt, response in pairs:
                keys = normalised(prompt), normalised(response)
                fit = (
                    all(keys) and len(response) <= 300 and is_clean(f"{prompt} {response}", profane)
                )
                if fit and keys[0] not in questions and keys[1] not in answers:
                    questions.add(keys[0])
                    answers.add(keys[1])
                    yield {"prompt": prompt, "response": response, "topic": topic}


def conversations(wheel: zipfile.ZipFile, profane: frozenset[str]) -> Iterator[dict]:
    """Two people in turn: {"thread", "messages": [{"role", "content"}, ...]}.

    The first to speak is the user.
    """
    threads = json.loads(wheel.read("chitchat_dataset/dataset.json"))
    texts = set()
    for thread, record in sorted(threads.items()):
        turns = [
            tidy(" ".join(message["text"] for message in group)) for group in record["messages"]
        ]
        senders = [{message["sender"] for message in group} for group in record["messages"]]
        alternate = all(len(s) == 1 for s in senders) and all(a != b for a, b in pairwise(senders))
        whole = " ".join(turns)
        fit = (
            alternate
            and len(turns) >= 2
            and all(0 < len(t) <= 600 for t in turns)
            and whole.isascii()
        )
        if fit and is_clean(whole, profane) and normalised(whole) not in texts:
            texts.add(normalised(whole))
            roles = ("user", "assistant") * len(turns)
            yield {
                "thread": thread,
                "messages": [{"role": r, "content": t} for r, t in zip(roles, turns, strict=False)],
            }


def senses(folder: Path, profane: frozenset[str]) -> Iterator[dict]:
    """The synsets of WordNet 3.0.

    {"word", "words", "pos", "supersense", "gloss", "examples", "offset"}.
    """
    seen = set()
    for part, pos in PART_OF_SPEECH.items():
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            fields, _, text = line.partition(" | ")
            offset, file_number, _, count, *rest = fields.split()
            words = [
                re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in rest[: 2 * int(count, 16) : 2]
            ]
            examples = [tidy(e) for e in re.findall(r'"([^"]+)"', text)]
            gloss = tidy(re.split(r';\s*"|\s"', text)[0]).strip(" ;")
            whole = " ".join([*words, gloss, *examples])
            fit = (
                len(gloss) >= 10
                and whole.isascii()
                and '"' not in gloss
                and is_clean(whole, profane - ORDINARY)
            )
            if fit and normalised(gloss) not in seen:
                seen.add(normalised(gloss))
                yield {
                    "word": words[0],
                    "words": words,
                    "pos": pos,
                    "supersense": LEXICOGRAPHER_FILES[int(file_number)],
                    "gloss": gloss,
                    "examples": examples,
                    "offset": offset,
                }


def first_senses(folder: Path) -> dict[tuple[str, str], str]:
    """(word, part of speech) → offset of its most frequent sense, from WordNet's index files."""
    first = {}
    for part, pos in PART_OF_SPEECH.items():
        for line in (folder / f"index.{part}").read_text(encoding="latin-1").splitlines():
            if not line.startswith("  "):
                lemma, _, _, pointers, *rest = line.split()
                first[lemma.replace("_", " "), pos] = rest[int(pointers) + 2]
    return first
