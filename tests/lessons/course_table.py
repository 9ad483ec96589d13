"""Measure the course: builds, causes of wrong answers, verdicts, and visible code.

    PYTHONPATH=tests python tests/lessons/course_table.py          some minutes on two cores

`make course-report` prints the table below that of seconds and memory. Own solutions in a cold
process on a busy core are the slow tests of `test_cold_kernel.py`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from support.answer_bank import HELD_OUT, OWN_METHOD, RIGHT, WRONG, verdict_of, verdict_on
from support.notebooks import LESSONS, code_cells, read

from qtha_lab.lessons import build, exercises
from qtha_lab.lessons.builds import BUILDS

DESK = re.compile(r'(check|hint|solution|predict|build)\("')
CONCLUSION = re.compile(r"^(what_to_see|reveal)\(", re.MULTILINE)
TRAINING = ("1.model", "6.layer", "7.loop", "7.loss")  # builds whose steps load or train a model
NO_CAUSE = re.compile(r" instead of |it stops with|is not it")


def complete_builds() -> str:
    """Count builds with hints, drawing, worked case, solution, minutes and five causes."""
    complete = [
        task
        for task in BUILDS.values()
        if len(task.hints) == 3 and len(task.mistakes) >= 5 and task.minutes
        if task.drawing and task.solution and ">>>" in task.stub
    ]
    return f"{len(complete)} of {len(BUILDS)}"


def mistakes_of_builds() -> str:
    """Count usual mistakes that a step stops, and those whose cause is named."""
    results = [
        (build(number, task.solved(mistake.code)), mistake)
        for number, task in BUILDS.items()
        if number not in TRAINING
        for mistake in task.mistakes
    ]
    stopped = sum(result.state == "not yet" for result, _ in results)
    named = sum(result.cause == mistake.reason for result, mistake in results)
    return f"{stopped} stopped, {named} with cause, of {len(results)}"


def causes_held_out() -> str:
    """Count wrong functions that were not used for tuning and get a cause."""
    messages = [verdict_of(*answer).message for answer in HELD_OUT]
    return f"{sum(not NO_CAUSE.search(text) for text in messages)} of {len(messages)}"


def false_verdicts() -> str:
    """Count wrong answers that are accepted, and right ones that are refused."""
    wrong = [verdict_on(title, *entry[:-1]) for title, entry in _entries(WRONG)]
    right = [verdict_on(title, *_code(entry)) for title, entry in _entries(RIGHT)]
    accepted, refused = (
        sum(verdict.state != state for verdict in verdicts)
        for verdicts, state in ((wrong, "wrong"), (right, "right"))
    )
    return f"{accepted} of {len(wrong)}; {refused} of {len(right)}"


def visible_conclusions() -> str:
    """Compute the share of visible lines of code that print conclusions."""
    lines: Counter = Counter()
    for cell in (cell for path in LESSONS for cell in code_cells(read(path))):
        if not cell.metadata.get("jupyter", {}).get("source_hidden") and not DESK.match(
            cell.source
        ):
            n_lines = sum(bool(line.strip()) for line in cell.source.splitlines())
            lines[bool(CONCLUSION.search(cell.source))] += n_lines
    return f"{lines[True] / lines.total():.0%}"


def explanations() -> str:
    """Count exercises whose answer is a text, of those that ask for an explanation."""
    asked = [task for task in exercises() if task.kind == "E"]
    written = [isinstance(task.answer_of(task.solution), str) for task in asked]
    return f"{sum(written)} of {len(asked)}"


def _entries(bank: dict) -> Iterator[tuple]:
    return ((t, entry) for t, entries in bank.items() if t != OWN_METHOD for entry in entries)


def _code(entry) -> list[str]:
    return [entry] if isinstance(entry, str) else entry


ROWS: dict[str, tuple[Callable[[], str], str]] = {
    "builds with all parts": (complete_builds, "26"),
    "visible code that prints the conclusions": (visible_conclusions, "≤ 10 %"),
    "explanations that are texts": (explanations, "all"),
    "usual mistakes in builds without training": (mistakes_of_builds, "all, 30 causes"),
    "wrong answers accepted; right ones refused": (false_verdicts, "0; 0"),
    "held-out wrong functions with a cause": (causes_held_out, "≥ 60 %"),
}


if __name__ == "__main__":
    print("| | measured | goal |\n|---|---|---|", flush=True)
    for title, (measure, goal) in ROWS.items():
        print(f"| {title} | {measure()} | {goal} |", flush=True)
