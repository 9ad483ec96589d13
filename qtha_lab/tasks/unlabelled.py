"""Rows of a task without a target, from texts and records of users."""

from collections.abc import Mapping, Sequence
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.tasks.shapes import SHAPES, Shape
from qtha_lab.tasks.task import Kind

TARGETS = ("label", "response", "key", "reasoning", "chosen", "rejected")
UNKNOWN = "0"  # fits every target, a choice included, and is never read
DEFAULTS: dict[Kind, tuple[str, dict[str, str]]] = {
    "lm": ("prompt and response", {"prompt": "prompt", "response": "response"}),
    "preference": (
        "preference pairs",
        {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
    ),
}
TEXT = "text and label", {"text": "text", "label": "label"}


class UnlabelledReader:
    """Reader of rows without a target.

    Args:
        kind: Kind of task.
        shape: Shape of the training rows; empty for a named task.
        columns: Column of each part of the shape.

    Example:
        >>> UnlabelledReader("classification", "", {}).row("A text.")["text"]
        'A text.'
    """

    def __init__(self, kind: Kind, shape: str, columns: Mapping[str, str]) -> None:
        name, usual = DEFAULTS.get(kind, TEXT)
        self.shape = _shape_named(shape or name)
        self.columns = dict(columns if shape else usual)
        if missing := self.shape.needed.keys() - self.columns:
            raise Refusal(
                f"columns has no entry for {min(missing)}. Name {', '.join(self.shape.needed)}."
            )

    @property
    def inputs(self) -> list[str]:
        """Columns that a row must have."""
        return [self.columns[part] for part in self.shape.needed if part not in TARGETS]

    def row(self, value: str | Sequence[str] | Mapping[str, Any]) -> dict:
        """Return the row of a text, several texts or a record.

        Several texts are in the order of `inputs`.

        Raises:
            Refusal: If texts are missing, or a value is no text.
        """
        if not isinstance(value, Mapping):
            value = self._record([value] if isinstance(value, str) else list(value))
        record = dict(value)
        if missing := [name for name in self.inputs if name not in record]:
            raise Refusal(
                f"The row has no column {shortened(missing[0], 40)}. It needs "
                f"{', '.join(self.inputs)}."
            )
        targets = {column: UNKNOWN for part, column in self.columns.items() if part in TARGETS}
        record |= targets
        if (column := self.columns.get("messages")) is not None:
            record[column] = _with_answer(record[column])
        return self.shape.row(self.columns, record)

    def _record(self, texts: list[Any]) -> dict[str, Any]:
        if len(texts) != len(self.inputs) or not all(isinstance(text, str) for text in texts):
            raise Refusal(
                f"A row must have {len(self.inputs)} text{'s'[: len(self.inputs) - 1]} "
                f"({', '.join(self.inputs)}), got {shortened(texts, 60)}."
            )
        return dict(zip(self.inputs, texts, strict=True))


def _with_answer(messages: Any) -> Any:
    """Add the answer that a conversation must end with."""
    if isinstance(messages, str) and not messages.lstrip().startswith("["):
        messages = [{"role": "user", "content": messages}]
    answer = {"role": "assistant", "content": UNKNOWN}
    return [*messages, answer] if isinstance(messages, list) else messages


def _shape_named(name: str) -> Shape:
    for shape in SHAPES:
        if shape.name == name:
            return shape
    raise Refusal(f"shape must be a known shape of rows, got {shortened(name, 40)}.")
