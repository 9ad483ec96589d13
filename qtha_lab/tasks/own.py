"""Rows of any shape a reader brings: which columns hold what, and one row made of them.

Knows three shapes: prompt and response, messages, text and label. Reads no file.
"""

import math
from dataclasses import dataclass
from typing import Any

from qtha_lab.errors import Refusal
from qtha_lab.settings import setting
from qtha_lab.settings_help import with_arguments
from qtha_lab.tasks.registry import question_and_answer
from qtha_lab.tasks.task import Kind

PROMPT = ("prompt", "question", "instruction", "query", "input")
RESPONSE = ("response", "answer", "output", "completion", "target")
MESSAGES = ("messages", "conversations", "conversation", "dialog")
TEXT = ("text", "sentence", "content")
LABEL = ("label", "labels", "category", "class")
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant"}


@with_arguments
@dataclass(frozen=True)
class OwnData:
    """Options of a reader's own data: column names where the data do not show them."""

    prompt: str | None = setting(None, "Column with the prompt.")
    response: str | None = setting(None, "Column with the response.")
    messages: str | None = setting(None, "Column with a list of messages (role, content).")
    text: str | None = setting(None, "Column with a text to classify.")
    label: str | None = setting(None, "Column with the label of a text.")
    subset: str | None = setting(None, "Configuration of a Hugging Face data set.")
    limit: int = setting(20_000, "Most rows read from a Hugging Face data set.", ge=10)


@dataclass(frozen=True)
class Columns:
    """The columns found: messages alone, or two of them."""

    kind: Kind
    first: str
    second: str | None = None

    def row(self, record: dict) -> dict:
        """A task row; the key is the answer, the thread or the text.

        Raises:
            Refusal: If a column is missing, empty or of another shape; the message does not name the row.
        """
        first = self._value(record, self.first)
        if self.second is None:
            messages = [_message(m) for m in first] if isinstance(first, list) else []
            if not any(m["role"] == "assistant" for m in messages[1:]):
                raise Refusal(
                    f"{self.first} must be a list of messages with an answer by the assistant after the first"
                )
            return {
                "messages": messages,
                "key": str(record.get("thread") or messages[0]["content"]),
            }
        first, second = (
            _text(self.first, first),
            _text(self.second, self._value(record, self.second)),
        )
        if self.kind == "classification":
            return {"text": first, "label": second, "key": first}
        extra = record.get("input") if self.first == "instruction" else None
        prompt = f"{first}\n{_text('input', extra)}" if extra else first
        return question_and_answer(prompt, second, key=second)

    def _value(self, record: dict, column: str):
        value = record.get(column)
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            raise Refusal(f"{column} is missing or empty")
        return value


def find_columns(names: list[str], options: OwnData) -> Columns:
    """Which of the three shapes the data have.

    Raises:
        Refusal: With the columns there are, if none of the shapes fits.

    Example:
        >>> find_columns(["question", "answer", "id"], OwnData())
        Columns(kind='lm', first='question', second='answer')
    """
    choices = (options.prompt, options.response, options.messages, options.text, options.label)
    for column in filter(None, choices):
        if column not in names:
            raise Refusal(f"there is no column {column!r}; the columns are: {_listed(names)}")

    def pick(option: str | None, usual: tuple[str, ...]) -> str | None:
        return option or next((name for name in usual if name in names), None)

    prompt, response, messages, text, label = (
        pick(option, usual)
        for option, usual in zip(choices, (PROMPT, RESPONSE, MESSAGES, TEXT, LABEL), strict=True)
    )
    asked_to_classify = options.text or options.label
    if messages and not asked_to_classify and not (options.prompt or options.response):
        return Columns("lm", messages)
    if prompt and response and not asked_to_classify:
        return Columns("lm", prompt, response)
    if text and label:
        return Columns("classification", text, label)
    raise Refusal(
        "the columns must be prompt and response, or messages, or text and label (or be named by these options); "
        f"the columns are: {_listed(names)}"
    )


def _text(column: str, value: Any) -> str:
    """A value as it stands in a text; a number is written out, and a list is none."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"{column} must be text, not {value}")
    if isinstance(value, list | tuple | dict):
        raise Refusal(f"{column} must be text, not {str(value)[:40]!r}")
    return str(value)


def _listed(names: list[str], most: int = 20) -> str:
    """Column names on one line, however many and however strange they are."""
    texts = [name[:40] if name.isprintable() else repr(name[:40]) for name in names[:most]]
    return ", ".join([*texts, *(["…"] if len(names) > most else [])]) or "none"


def _message(message: dict) -> dict:
    """A message with the fields role and content, also from the fields `from` and `value`."""
    if not isinstance(message, dict):
        raise Refusal(f"a message must have a role and a content, not {str(message)[:40]!r}")
    role, content = (
        message.get("role", message.get("from")),
        message.get("content", message.get("value")),
    )
    if not isinstance(role, str) or not isinstance(content, str):
        raise Refusal(
            f"a message must have a role and a content, both text, not {_listed(list(message))}"
        )
    role = ROLES.get(role, role)
    if role not in ("system", "user", "assistant", "tool"):
        raise Refusal(f"a role must be system, user, assistant or tool, not {role[:40]!r}")
    return {"role": role, "content": content}
