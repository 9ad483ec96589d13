"""The shipped files are what data/README.md says, clean, small, and made by rules that hold apart
what must be.
"""

import hashlib
import json
import lzma
import re
from collections import Counter

import numpy as np
import pytest

from qtha_lab.core.paths import data_dir
from qtha_lab.studies.comparison.paired import paired_difference
from qtha_lab.tasks.splits import in_pretraining_pool, normalised

DATA = data_dir()
README = (DATA / "README.md").read_text(encoding="utf-8")
CARD = (DATA / "models" / "tiny" / "README.md").read_text(encoding="utf-8")
# Texts and weights
SHIPPED = sorted(
    f
    for folder in ("models", "tasks", "general.txt")
    for f in [DATA / folder, *(DATA / folder).rglob("*")]
    if f.is_file() and f.suffix != ".md"
)
TASK_FILES = sorted((DATA / "tasks").glob("*.jsonl.xz"))
LOG = [
    json.loads(line)
    for line in (DATA / "models" / "tiny_pretraining.jsonl").read_text().splitlines()
]


@pytest.fixture
def scripts(monkeypatch):
    """The building scripts as modules."""
    monkeypatch.syspath_prepend(DATA)
    import build_corpora
    import cleaning
    import corpora

    return {"build": build_corpora, "cleaning": cleaning, "corpora": corpora}


def rows_of(file):
    opened = lzma.open if file.suffix == ".xz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        return [*map(json.loads, lines)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.name)
def test_readme_has_the_checksum_of_every_shipped_file(file):
    name = file.relative_to(DATA).as_posix()
    match = re.search(rf"`{re.escape(name)}`.*`([0-9a-f]{{64}})`", README)
    assert match, f"{name} is not in data/README.md"
    assert match[1] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("file", TASK_FILES, ids=lambda f: f.name.partition(".")[0])
def test_readme_has_the_number_of_rows_of_every_task(file):
    assert re.search(rf"`tasks/{file.name}`[^\n]*\b{len(rows_of(file)):,} ", README)


def test_readme_gives_the_difference_of_the_recorded_runs_with_its_interval():
    ends: dict[str, list[float]] = {"lora": [], "qtha": []}
    for events in sorted((DATA / "runs").glob("*/events.jsonl")):
        losses = [event["loss"] for event in rows_of(events) if event["kind"] == "eval"]
        ends[events.parent.name.split("-")[4]].append(losses[-1])
    behind = paired_difference(np.array(ends["qtha"]), np.array(ends["lora"]))
    assert f"| {behind.mean:+.3f} [{behind.low:+.3f}, {behind.high:+.3f}] |" in README


def test_all_shipped_files_together_are_small():
    assert sum(file.stat().st_size for file in SHIPPED) < 25e6


@pytest.mark.parametrize("file", TASK_FILES, ids=lambda f: f.name.partition(".")[0])
def test_no_links_addresses_or_numbers_of_persons_are_shipped(file, scripts):
    for number, row in enumerate(rows_of(file), start=1):
        texts = [m["content"] for m in row.get("messages", [])]
        texts += [row[k] for k in ("prompt", "response", "text", "word", "gloss") if k in row]
        for text in texts:
            assert not scripts["cleaning"].PRIVATE.search(text), f"line {number}: {text}"


def test_questions_and_answers_of_qa_are_all_different():
    rows = rows_of(DATA / "tasks" / "qa.jsonl.xz")
    assert "tech_support" not in {row["topic"] for row in rows}
    for column in ("prompt", "response"):
        assert max(Counter(normalised(row[column]) for row in rows).values()) == 1


@pytest.mark.parametrize(
    ("name", "column"), [("definitions", "gloss"), ("definitions", "word"), ("supersense", "text")]
)
def test_words_and_glosses_are_all_different(name, column):
    counts = Counter(
        normalised(row[column]) for row in rows_of(DATA / "tasks" / f"{name}.jsonl.xz")
    )
    if column != "word":  # "re-form" and "reform" are two words
        assert max(counts.values()) == 1
    assert sum(counts.values()) - len(counts) < 50


def test_supersenses_are_41_and_none_is_more_than_a_twentieth():
    counts = Counter(row["label"] for row in rows_of(DATA / "tasks" / "supersense.jsonl.xz"))
    assert len(counts) == 41
    assert max(counts.values()) / sum(counts.values()) < 0.05


def test_turns_of_a_conversation_alternate():
    for row in rows_of(DATA / "tasks" / "chat.jsonl.xz"):
        roles = [m["role"] for m in row["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)


# the rules of the scripts
# --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("What is 2 + 2?", True),
        ("Sputnik was launched in 1957, Apollo 11 in 1969.", True),
        ("mail me at somebody@example.org", False),
        ("see www.example.org", False),
        ("see example.com for more", False),
        ("call 808 555 0123 please", False),
        ("I live at 12 Old Mill Road", False),
        ("ask @somebody", False),
        ("what a blasted thing", False),
        ("zero\x00width", False),
    ],
)
def test_cleaning_keeps_plain_text_only(text, clean, scripts):
    assert scripts["cleaning"].is_clean(text, frozenset({"blasted"})) is clean


def test_pretraining_text_shares_no_headword_thread_or_gloss_with_the_tasks(scripts):
    def sense(word, gloss):
        return {"word": word, "words": [word], "pos": "noun", "gloss": gloss, "examples": []}

    words = [f"word{i}" for i in range(200)]
    dictionary = [sense(word, f"gloss of {word}") for word in words] + [
        sense("copy1", "gloss of word3")
    ]
    shipped = [s for s in dictionary if not in_pretraining_pool(s["word"])]
    talks = [
        {"thread": str(i), "messages": [{"role": "user", "content": f"talk {i}"}]}
        for i in range(200)
    ]
    glosses = {normalised(s["gloss"]) for s in shipped} | {normalised("gloss of word3")}
    read = scripts["build"].pretraining_rows(talks, dictionary, glosses)
    prose = " ".join(row["text"] for row in read if "text" in row)
    assert not any(f"{s['gloss']}." in prose for s in shipped)
    assert "gloss of word3." not in prose
    threads = {row["messages"][0]["content"] for row in read if "messages" in row}
    assert threads == {f"talk {i}" for i in range(200) if in_pretraining_pool(str(i))}
    assert 0.55 < len(read) / 400 < 0.85


def test_a_line_of_wordnet_is_read_whole(scripts, tmp_path):
    line = (
        "00001740 05 n 02 domestic_cat 0 house_cat 0 001 @ 00001930 n 0000 | any small feline kept"
        ' as a pet; the usual cat; "the cat slept"; "cats purr"  \n'
    )
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("  1 licence\n" + (line if part == "noun" else ""))
    assert list(scripts["corpora"].senses(tmp_path, frozenset())) == [
        {
            "word": "domestic cat",
            "words": ["domestic cat", "house cat"],
            "pos": "noun",
            "supersense": "noun.animal",
            "gloss": "any small feline kept as a pet; the usual cat",
            "examples": ["the cat slept", "cats purr"],
            "offset": "00001740",
        }
    ]


# the toy model's record
# ----------------------------------------------------------------------------


def test_the_learning_rate_of_the_pretraining_reached_zero():
    rates = [event["learning_rate"] for event in LOG if event["kind"] == "train"]
    assert rates[-1] < max(rates) / 100
    assert LOG[-1]["kind"] == "end"


def test_held_out_text_was_learnt_and_not_memorised_away():
    for text in ("chat", "definitions"):
        losses = [
            e["loss"] for e in LOG if e["kind"] in ("held_out", "final") and e["text"] == text
        ]
        assert losses[-1] < 4.2 < losses[0]
        assert losses[-1] < min(losses) + 0.1


def test_model_card_and_readme_give_the_figures_of_the_log():
    for final in (event for event in LOG if event["kind"] == "final"):
        figures = f"{final['perplexity']:.1f}", f"{final['bits_per_character']:.2f}"
        row = rf"\| {final['text']}[^|\n]*\| {re.escape(figures[0])} \| {re.escape(figures[1])} \|"
        assert re.search(row, CARD)
        assert re.search(row, README)
    for text in (CARD, README):
        assert "toy" in text
        assert f"{LOG[-1]['tokens'] / 1e6:.1f} million tokens" in text
