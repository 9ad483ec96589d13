"""Exercises of lesson 12: alt text, faults of a chart, entry of a table."""

import re

from qtha_lab.lessons.object_graders import Construction, Selection
from qtha_lab.lessons.registry import exercise

MOST_WORDS = 60
DIRECTIONS = [
    "higher",
    "lower",
    "above",
    "below",
    "more",
    "less",
    "larger",
    "smaller",
    "better",
    "worse",
    "exceeds",
]
ALT = {
    "text": "a text of one to sixty words is expected",
    "who": "it names both methods of the difference, QTHA and LoRA",
    "direction": "it says that there is a difference, but not in which direction",
    "interval": "the interval is missing: give both of its ends, with two or three digits",
    "n": "the number of seeds is missing",
    "word": "“significant” says less than the interval, and often more than the data",
}


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def _has_interval(text: str) -> bool:
    from qtha_lab.lessons.recordings import recorded

    gap = recorded("confirm-qa").difference(
        "qtha(r=4,waist=16,bond_dim=3)", "lora(r=2,lora_alpha=4)"
    )
    return all(
        any(f"{abs(end):.{digits}f}" in text for digits in (2, 3)) for end in (gap.low, gap.high)
    )


exercise(
    "12.1",
    "An alt text with the finding",
    difficulty=2,
    minutes=8,
    kind="E",
    answer="alt_text",
    hints=(
        "What would you say about the figure on the telephone, in one sentence?",
        "Which method is higher, by how much, over how many seeds?",
        "Both names, a direction, the interval's two ends, twenty seeds. No colour, no verdict.",
    ),
    solution="""
        alt_text = (
            f"Over 20 seeds QTHA's test loss is {lora_gap.mean:.3f} nat higher than that of LoRA"
            f" r = 2, 95 % interval {lora_gap.low:.3f} to {lora_gap.high:.3f}."
        )
    """,
    mistakes=(
        ("alt_text = ''", ALT["text"]),
        (
            "alt_text = f'A forest plot, 20 seeds. It is higher, {lora_gap.low:.3f}, "
            "{lora_gap.high:.3f}.'",
            ALT["who"],
        ),
        (
            "alt_text = f'QTHA and LoRA differ over 20 seeds, {lora_gap.low:.3f} to "
            "{lora_gap.high:.3f} nat.'",
            ALT["direction"],
        ),
        ("alt_text = 'Over 20 seeds QTHA has a higher loss than LoRA.'", ALT["interval"]),
        (
            "alt_text = f'QTHA is higher than LoRA, {lora_gap.low:.3f} to {lora_gap.high:.3f}.'",
            ALT["n"],
        ),
        (
            "alt_text = f'Over 20 seeds QTHA is significantly higher than LoRA, "
            "{lora_gap.low:.3f} to {lora_gap.high:.3f}.'",
            ALT["word"],
        ),
    ),
    setup="""
from qtha_lab.lessons import recorded

runs = recorded("confirm-qa")
lora_gap = runs.difference("qtha(r=4,waist=16,bond_dim=3)", "lora(r=2,lora_alpha=4)")
    """.strip(),
    grader=Construction(
        (
            (lambda text: 2 < len(_words(text)) <= MOST_WORDS, ALT["text"]),
            (lambda text: "qtha" in text.lower() and "lora" in text.lower(), ALT["who"]),
            (lambda text: bool(set(DIRECTIONS) & set(_words(text))), ALT["direction"]),
            (_has_interval, ALT["interval"]),
            (lambda text: bool({"20", "twenty"} & set(_words(text))), ALT["n"]),
            (lambda text: "significant" not in text.lower(), ALT["word"]),
        )
    ),
    remark="Rubric: direction, interval, number of seeds, both names; one point each.",
)

PLANTS = {
    "a": "a fault: between two ticks of a log axis no value can be read",
    "b": "a fault: from the smallest to the largest seed is a range, and grows with the seeds",
    "c": "a fault: one seed is drawn, and the reader must learn that",
    "d": "a fault: the linear path leaves out the circuit, so it is a part of the update",
    "e": "a fault: a control is another method, not one more trial of the first",
    "f": "no fault: the number of test rows belongs into the caption",
    "g": "no fault: a line at zero shows which intervals contain it",
}

exercise(
    "12.2",
    "Faults of a chart and its caption",
    difficulty=2,
    minutes=8,
    kind="B",
    answer="faults",
    hints=(
        "Three faults are in the chart, two in the caption.",
        "Which words promise more than is drawn?",
        "Only the sentence on the test rows and the line at zero are as they should be.",
    ),
    solution='faults = "abcde"',
    mistakes=(
        ('faults = "bcde"', PLANTS["a"]),
        ('faults = "acde"', PLANTS["b"]),
        ('faults = "abde"', PLANTS["c"]),
        ('faults = "abce"', PLANTS["d"]),
        ('faults = "abcd"', PLANTS["e"]),
        ('faults = "abcdef"', PLANTS["f"]),
        ('faults = "abcdeg"', PLANTS["g"]),
    ),
    grader=Selection("abcde", PLANTS),
    remark="Most faults of a figure are words: an interval, an update, a trial that is none.",
)

ENTRY = {
    "triple": "a tuple of a number, a file and a key is expected, such as (0.123, 'a.json', 'b')",
    "file": "this file does not hold the entry: look for the one that a run writes at its end",
    "key": "the file has other losses too: the table is about the rows that no tuning has seen",
    "value": "the number is not the one in that file under that key, to three digits",
}


def _is_triple(entry) -> bool:
    value, file, key = entry
    return isinstance(value, int | float) and isinstance(file, str) and isinstance(key, str)


def _recorded_value() -> float:
    from qtha_lab.core.io import read_json

    return float(read_json(recorded_folder() / "summary.json")["test_loss"])


def recorded_folder():
    """Return the folder of the shipped run of QTHA with seed 1."""
    from qtha_lab.core.paths import data_dir

    return next(iter(sorted((data_dir() / "runs").glob("*-tiny-qa-qtha-s1-*"))))


exercise(
    "12.3",
    "One entry from a run folder alone",
    difficulty=1,
    minutes=6,
    kind="X",
    answer="table_entry",
    hints=(
        "List the files of the folder, and open those that end in json.",
        "A run writes its summary after the last step.",
        "summary.json holds test_loss; round it to three digits.",
    ),
    solution="""
        summary = json.loads((run_folder / "summary.json").read_text())
        table_entry = (round(summary["test_loss"], 3), "summary.json", "test_loss")
    """,
    mistakes=(
        ("table_entry = 4.22", ENTRY["triple"]),
        ("table_entry = (4.264, 'events.jsonl', 'loss')", ENTRY["file"]),
        ("table_entry = (4.264, 'summary.json', 'eval_loss')", ENTRY["key"]),
        ("table_entry = (4.2, 'summary.json', 'test_loss')", ENTRY["value"]),
    ),
    setup="""
import json

from qtha_lab.core.paths import data_dir

run_folder = next(iter(sorted((data_dir() / "runs").glob("*-tiny-qa-qtha-s1-*"))))
    """.strip(),
    grader=Construction(
        (
            (_is_triple, ENTRY["triple"]),
            (lambda entry: entry[1].endswith("summary.json"), ENTRY["file"]),
            (lambda entry: entry[2] == "test_loss", ENTRY["key"]),
            (lambda entry: abs(entry[0] - _recorded_value()) < 6e-4, ENTRY["value"]),
        )
    ),
    remark="Whoever has the folder can check the table, without the code that made it.",
)
