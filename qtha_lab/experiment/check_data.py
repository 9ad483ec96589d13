"""View of a user's data before any training: kind, columns, split, labels, lengths and advice.

The command `qtha-lab check-data` and the workbench show it. Trains nothing.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qtha_lab.core.io import shortened
from qtha_lab.tasks.own_data import label_findings
from qtha_lab.tasks.task import IGNORED, Task, label_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHOWN_ROWS, SHOWN_LABELS, COUNTED_ROWS = 3, 20, 1000
LONG = 2**16  # tokens; no row is cut at this length
FEW = 100  # rows of a side below which intervals are wide
OPEN, CLOSE = "⟦", "⟧"


@dataclasses.dataclass(frozen=True)
class DataReport:
    """View of a data set.

    Attributes:
        name: Name or path of the data.
        kind: Kind of task.
        shape: Shape of the rows, such as "text and label"; empty for a named task.
        columns: Column of each part of the shape.
        split_key: Part of a row that is on one side only.
        rows: Number of rows by side.
        labels: Number of rows by label or frequent answer, for training, evaluation and test.
        tokens: Median and largest number of tokens of a training row, and the cut-off.
        cut: Number of training rows that the cut-off shortens, of those counted.
        counted: Number of training rows whose tokens were counted.
        examples: Training rows as the model sees them; ⟦…⟧ marks the tokens with a loss.
        notes: Columns, fields, files and rows that are left aside, and the reading of labels.
        advice: Changes that the data suggest, in one sentence each.
    """

    name: str
    kind: str
    shape: str
    columns: dict[str, str]
    split_key: str
    rows: dict[str, int]
    labels: dict[str, tuple[int, int, int]]
    tokens: dict[str, int]
    cut: int
    counted: int
    examples: tuple[str, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]

    def facts(self) -> list[tuple[str, str]]:
        """Return names and values for a table."""
        columns = ", ".join(f"{part}={column}" for part, column in self.columns.items())
        sides = ", ".join(f"{count:,} {side}" for side, count in self.rows.items())
        tokens = f"median {self.tokens['median']:,}, longest {self.tokens['longest']:,}"
        cut = f"{self.cut:,} of {self.counted:,} rows at max_length={self.tokens['max_length']:,}"
        facts = [
            ("kind", self.kind),
            ("shape", self.shape),
            ("columns", columns),
            ("split by", self.split_key),
            ("rows", sides),
            ("tokens per row", tokens),
            ("cut off", cut),
        ]
        return [(name, value) for name, value in facts if value]


def check_data(
    name: str, *, model: str = "tiny", max_length: int = 128, seed: int = 0, **options: Any
) -> DataReport:
    """Read data as a run would, and describe them.

    Raises:
        Refusal: If the data or the model cannot be used.

    Example:
        >>> report = check_data("qa")
        >>> report.kind, report.rows["training"], report.cut
        ('lm', 405, 0)
    """
    from qtha_lab.models.catalogue import folder_of
    from qtha_lab.models.tokenizers import load_tokenizer
    from qtha_lab.tasks import load_task

    task = load_task(name, seed=seed, **options)
    tokenizer = load_tokenizer(folder_of(model))
    rows = task.train[:COUNTED_ROWS]
    sides = ((row, row.get("rejected", row)) for row in task.encode(rows, tokenizer, LONG))
    lengths = [max(len(side["input_ids"]) for side in both) for both in sides]
    cut = sum(length > max_length for length in lengths)
    if task.kind == "text":
        cut = 0  # a long text gives several rows
    report = DataReport(
        name,
        task.kind,
        task.shape,
        dict(task.columns),
        task.split_key,
        {"training": len(task.train), "evaluation": len(task.eval), "test": len(task.test)},
        _labels(task),
        {
            "median": int(statistics.median(lengths)),
            "longest": max(lengths),
            "max_length": max_length,
        },
        cut,
        len(lengths),
        tuple(_examples(task, tokenizer, max_length)),
        task.notes,
        (),
    )
    return dataclasses.replace(report, advice=tuple(_advice(task, report)))


def _labels(task: Task) -> dict[str, tuple[int, int, int]]:
    """Count the rows of each label per side, in order of frequency in training."""
    if not (task.labels or task.answers):
        return {}
    sides = [
        Counter(label for row in side for label in label_texts(row))
        for side in (task.train, task.eval, task.test)
    ]
    labels = task.labels or [label for label, _ in sides[0].most_common()]
    return {label: (sides[0][label], sides[1][label], sides[2][label]) for label in labels}


def _examples(task: Task, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Iterator[str]:
    """Yield the text of some rows, with marks around the tokens that have a loss."""
    for row in task.train[:SHOWN_ROWS]:
        encoded = task.encode([row], tokenizer, max_length)[:1]
        for one in encoded:
            if not isinstance(one["labels"], list):
                label = row["label"] if task.kind == "regression" else repr(row["label"])
                yield f"{tokenizer.decode(one['input_ids'])} → {label}"
                continue
            text = _marked(one, tokenizer)
            if rejected := one.get("rejected"):
                text = f"{text}\nrejected: {_marked(rejected, tokenizer)}"
            yield text


def _marked(encoded: dict, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return an encoded row's text, with marks around tokens that have a loss."""
    parts, inside = [], False
    for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True):
        if (label != IGNORED) != inside:
            inside = not inside
            parts.append(OPEN if inside else CLOSE)
        parts.append(tokenizer.decode([token]))
    return "".join(parts) + (CLOSE if inside else "")


def _advice(task: Task, report: DataReport) -> Iterator[str]:
    """Yield the changes that the data suggest."""
    if report.cut:
        yield (
            f"max_length={report.tokens['max_length']} cuts {report.cut:,} of {report.counted:,} "
            f"training rows. Set max_length to {report.tokens['longest']:,} to keep all tokens."
        )
    if task.missing_labels:
        yield f"Labels are missing: {task.missing_labels}. Add rows with these labels."
    if task.labels and task.split_key:
        yield from label_findings(task.labels, sum(report.rows.values()))
    if report.rows["test"] < FEW:
        yield (
            f"The test has {report.rows['test']:,} rows, so intervals of its loss are wide. Add "
            "rows."
        )
    if task.kind == "lm" and task.answers:
        yield (
            f"The answers are {len(task.answers):,} labels. For a classification head, name the "
            "columns by text=… and label=…."
        )
    counts = [count for count, _, _ in report.labels.values()]
    if counts and max(counts) > 10 * max(1, min(counts)):
        rarest = min(report.labels, key=lambda label: report.labels[label][0])
        yield (
            f"Label {shortened(rarest, 40)!r} has {min(counts):,} training rows, the most frequent "
            f"one {max(counts):,}. Compare macro F1, or balance the rows."
        )
    if task.kind == "preference":
        yield "Set objective=preference, which trains on preference pairs."
        if equal := sum(row["chosen"] == row["rejected"] for row in task.train):
            yield (
                f"{equal:,} training pairs have equal answers and no gradient. Remove these rows."
            )
    if task.kind == "regression":
        read = "ordered labels" if task.labels else "numbers"
        yield f"Labels are read as {read} (squared error). Set labels=classes for classes."
