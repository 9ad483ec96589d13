"""Recognise the columns of a user's own rows, and convert them to task rows.

Three shapes are known: prompt and response, messages, text and label. `split_key` sets the keys.
"""

import math
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.settings import setting
from qtha_lab.core.settings_help import with_arguments
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
    """Column names of a user's own data, for unrecognised columns."""

    prompt: str | None = setting(None, "Column with the prompt.")
    response: str | None = setting(None, "Column with the response.")
    messages: str | None = setting(None, "Column with a list of messages (role, content).")
    text: str | None = setting(None, "Column with a text to classify.")
    label: str | None = setting(None, "Column with the label of a text.")
    subset: str | None = setting(None, "Configuration of a Hugging Face data set.")
    limit: int = setting(20_000, "Most rows read from a Hugging Face data set.", ge=10)


@dataclass(frozen=True)
class Columns:
    """Recognised columns: messages alone, or a pair."""

    kind: Kind
    first: str
    second: str | None = None

    def row(self, record: dict) -> dict:
        """Convert a record to a task row without its key.

        Raises:
            Refusal: If a column is missing, empty or of another shape; the row is not named.
        """
        first = self._value(record, self.first)
        if self.second is None:
            messages = [_message(m) for m in first] if isinstance(first, list) else []
            if not any(m["role"] == "assistant" for m in messages[1:]):
                raise Refusal(
                    f"{self.first} must be a list of messages with an answer by the assistant after the first"
                )
            thread = record.get("thread")
            return {"messages": messages, **({"thread": str(thread)} if thread else {})}
        first, second = (
            _text(self.first, first),
            _text(self.second, self._value(record, self.second)),
        )
        if self.kind == "classification":
            return {"text": first, "label": second}
        extra = record.get("input") if self.first == "instruction" else None
        prompt = f"{first}\n{_text('input', extra)}" if extra else first
        roles = {"user": prompt, "assistant": second}
        return {"messages": [{"role": role, "content": text} for role, text in roles.items()]}

    def _value(self, record: dict, column: str):
        value = record.get(column)
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            raise Refusal(f"{column} is missing or empty")
        return value


def find_columns(names: list[str], options: OwnData) -> Columns:
    """Find the shape of the data from its column names.

    Raises:
        Refusal: If no shape fits, with the column names.

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
    """Convert a value to text; refuse a list or an infinite number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"{column} must be text, not {value}")
    if isinstance(value, list | tuple | dict):
        raise Refusal(f"{column} must be text, not {shortened(value, 40)!r}")
    return str(value)


def _listed(names: list[str], most: int = 20) -> str:
    """Join column names on one line of limited length."""
    texts = [shortened(name, 40) for name in names[:most]]
    return ", ".join([*texts, *(["…"] if len(names) > most else [])]) or "none"


def _message(message: dict) -> dict:
    """Read a message from the fields role and content, or from and value."""
    if not isinstance(message, dict):
        raise Refusal(f"a message must have a role and a content, not {shortened(message, 40)!r}")
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
        raise Refusal(
            f"a role must be system, user, assistant or tool, not {shortened(role, 40)!r}"
        )
    return {"role": role, "content": content}
