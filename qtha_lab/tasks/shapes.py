"""Shapes of a user's rows: their columns by name, and the conversion to task rows.

`SHAPES` is in order of precedence. A shape fits if the data have a column for each of its parts.
`own_data` sets options, `split_key` the keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, whole_number
from qtha_lab.tasks.messages import read_messages, read_transcript, with_system
from qtha_lab.tasks.task import Kind

PROMPT = ("prompt", "question", "instruction", "query", "input", "ctx", "goal")
RESPONSE = ("response", "answer", "output", "completion", "target", "answers")
TEXT = ("text", "sentence", "content", "review", "tweet")
LABEL = (
    "label",
    "labels",
    "category",
    "class",
    "stars",
    "rating",
    "score",
    "sentiment",
    "gold_label",
    "is_duplicate",
)
REASONING = ("reannotated_assistant_content", "reasoning_content")
CONTEXT = ("context", "passage", "paragraph")
SYSTEM, TOOLS = ("system",), ("tools", "functions")
THREAD = ("thread", "conversation_id")
PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text_a", "text_b"),
    ("question", "sentence"),
)
CHOICES = ("choices", "options", "endings")
KEY = ("answerKey", "answer", "label", "correct", "target")
NOTES = {"id", "idx", "index", "title", "url", "source", "date", "meta", "metadata", "timestamp",
         "unnamed: 0", "__index_level_0__"}  # fmt: skip
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Record = Mapping[str, Any]
Parts = dict[str, str]


@dataclass(frozen=True)
class Shape:
    """Shape of rows.

    Attributes:
        name: Name in messages and in `check-data`.
        kind: Kind of task.
        needed: Usual column names of each part that the data must have.
        optional: Usual column names of further parts.
        row: Function from the columns of the parts and a record to a task row without its key.
    """

    name: str
    kind: Kind
    needed: Mapping[str, tuple[str, ...]]
    row: Callable[[Parts, Record], dict]
    optional: Mapping[str, tuple[str, ...]]

    def parts(self, names: list[str], chosen: Mapping[str, str]) -> Parts | None:
        """Return the column of each part, in any case; None if the data lack one."""
        columns = {}
        spelled = {name.lower(): name for name in reversed(names)} | {name: name for name in names}
        for part, usual in {**self.needed, **self.optional}.items():
            present = (spelled.get(name) or spelled.get(name.lower()) for name in usual)
            free = (name for name in present if name and name not in columns.values())
            column = chosen.get(part) or next(free, None)
            if column is not None:
                columns[part] = column
            elif part in self.needed:
                return None
        if columns.get("prompt", "").lower() != "instruction":
            columns.pop("input", None)
        return columns if chosen.keys() <= columns.keys() else None


def value_of(record: Record, column: str) -> Any:
    """Return the value of a column; refuse a missing or empty one."""
    value = record.get(column)
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        raise Refusal(f"{column} must not be missing or empty. Fill it in, or delete the row.")
    return value


def text_of(record: Record, column: str) -> str:
    """Return a column's value as text; refuse lists, objects and infinite numbers."""
    value = value_of(record, column)
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"{column} must be text, got {value}.")
    if isinstance(value, list | tuple | dict):
        raise Refusal(f"{column} must be text, got {shortened(value, 40)!r}.")
    return str(value)


def _exchange(prompt: str, response: str) -> list[dict]:
    roles = {"user": prompt, "assistant": response}
    return [{"role": role, "content": text} for role, text in roles.items()]


def _with_context(parts: Parts, record: Record, part: str) -> str:
    """Return the text of a part, below the text of its context if any."""
    text = text_of(record, parts[part])
    context = record.get(parts["context"]) if "context" in parts else None
    return f"{text_of(record, parts['context'])}\n{text}" if context else text


def _conversation(parts: Parts, record: Record) -> dict:
    value = value_of(record, parts["messages"])
    system, tools = (
        record.get(parts[name]) if name in parts else None for name in ("system", "tools")
    )
    thread = record.get(parts["thread"]) if "thread" in parts else None
    messages = read_messages(parts["messages"], value, system, tools)
    return {"messages": messages, **({"thread": str(thread)} if thread else {})}


def _question(parts: Parts, record: Record) -> dict:
    column = parts["response"]
    answer = record.get(column)
    if isinstance(answer, Mapping) and isinstance(answer.get("text"), list) and answer["text"]:
        answer = answer["text"][0]  # SQuAD
        response = text_of({column: answer}, column)
    else:
        response = text_of(record, column)
    prompt = _with_context(parts, record, "prompt")
    if "input" in parts and record.get(parts["input"]):
        prompt = f"{prompt}\n{text_of(record, parts['input'])}"
    messages = _exchange(prompt, response)
    return {"messages": with_system(messages, record.get(parts.get("system", "")), None)}


def _with_history(parts: Parts, record: Record) -> dict:
    """Return earlier exchanges, then the question with its answer, as LLaMA-Factory's files."""
    history = record.get(parts["history"]) or []
    if not isinstance(history, list) or not all(
        isinstance(turn, list | tuple) and len(turn) == 2 for turn in history
    ):
        raise Refusal(
            f"{parts['history']} must be a list of pairs of prompt and response, got "
            f"{shortened(history, 40)!r}."
        )
    earlier = [message for turn in history for message in _exchange(*map(str, turn))]
    messages = _question(parts, record)["messages"]
    first = int(messages[0]["role"] == "system")
    return {"messages": [*messages[:first], *earlier, *messages[first:]]}


def _reasoned(parts: Parts, record: Record) -> dict:
    """Return the reasoning in <think> tags, then the answer, which the reasoning may end with."""
    reasoning, _, end = text_of(record, parts["reasoning"]).rpartition("</think>")
    reasoning, end = (reasoning, end) if reasoning else (end, "")
    reasoning = reasoning.replace("<think>", "").strip()
    answer = end.strip() or text_of(record, parts["response"]).strip()
    prompt = text_of(record, parts["prompt"])
    return {"messages": _exchange(prompt, f"<think>\n{reasoning}\n</think>\n\n{answer}")}


def _labelled(parts: Parts, record: Record) -> dict:
    return {"text": text_of(record, parts["text"]), "label": text_of(record, parts["label"])}


def _pair(parts: Parts, record: Record) -> dict:
    first, second = (text_of(record, parts[name]) for name in ("text", "pair"))
    return {"text": first, "pair": second, "label": text_of(record, parts["label"])}


def _yes_or_no(parts: Parts, record: Record) -> dict:
    label = text_of(record, parts["label"])
    first, second = (text_of(record, parts[name]) for name in ("context", "prompt"))
    return {"text": first, "pair": second, "label": label}


def _choice(parts: Parts, record: Record) -> dict:
    """Convert a question with several choices; the answer is a letter."""
    choices = value_of(record, parts["choices"])
    names = list(LETTERS)
    if isinstance(choices, Mapping):  # ARC and CommonsenseQA
        own = choices.get("label")
        names = list(map(str, own)) if isinstance(own, list) else names
        choices = choices.get("text")
    if not isinstance(choices, list) or not 2 <= len(choices) <= len(LETTERS):
        raise Refusal(
            f"{parts['choices']} must be a list of 2 to 26 choices, got {shortened(choices, 40)!r}."
        )
    key = text_of(record, parts["key"]).strip()
    if key in names[: len(choices)]:
        place = names.index(key)
    elif (number := whole_number(key, len(choices) - 1)) is not None:
        place = number
    elif key in map(str, choices):
        place = list(map(str, choices)).index(key)
    else:
        raise Refusal(
            f"{parts['key']} must be a letter, a number or the text of a choice, got {key!r:.40}."
        )
    lines = "\n".join(f"{LETTERS[i]}. {choice}" for i, choice in enumerate(choices))
    prompt = f"{_with_context(parts, record, 'prompt')}\n{lines}"
    return {"messages": _exchange(prompt, LETTERS[place])}


def _preference(parts: Parts, record: Record) -> dict:
    """Return the shared messages, the preferred and the rejected answer."""
    sides = []
    for part in ("chosen", "rejected"):
        value = value_of(record, parts[part])
        if isinstance(value, str) and "\n\nAssistant:" in value:
            sides.append(read_transcript(value))
        elif isinstance(value, list):
            sides.append(read_messages(parts[part], [{"role": "user", "content": ""}, *value])[1:])
        else:
            sides.append([{"role": "assistant", "content": text_of(record, parts[part])}])
    chosen, rejected = sides
    shared = chosen[:-1]
    if rejected[:-1] != shared or any(side[-1]["role"] != "assistant" for side in sides):
        raise Refusal(
            "Chosen and rejected must differ in the last answer only, got other differences."
        )
    if not shared and "prompt" in parts:
        shared = [{"role": "user", "content": _with_context(parts, record, "prompt")}]
    if not shared:
        raise Refusal("The preference row has no prompt. Name the column: prompt=….")
    return {
        "messages": with_system(shared, record.get(parts.get("system", "")), None),
        "chosen": chosen[-1]["content"],
        "rejected": rejected[-1]["content"],
    }


def _plain(parts: Parts, record: Record) -> dict:
    return {"text": text_of(record, parts["text"])}


_ASKED = {"context": CONTEXT, "system": SYSTEM}
_INPUT = {"input": ("input",)}  # Alpaca's, below its instruction
SHAPES = (
    Shape("preference pairs", "preference", {"chosen": ("chosen",), "rejected": ("rejected",)},
          _preference, {"prompt": PROMPT, **_ASKED}),
    Shape("reasoning and answer", "lm",
          {"prompt": ("problem", *PROMPT), "reasoning": REASONING,
           "response": ("solution", "content", *RESPONSE)}, _reasoned, {}),
    Shape("messages", "lm", {"messages": ("messages", "conversations", "conversation", "dialog")},
          _conversation, {"system": SYSTEM, "tools": TOOLS, "thread": THREAD}),
    Shape("multiple choice", "lm", {"prompt": PROMPT, "choices": CHOICES, "key": KEY},
          _choice, {"context": CONTEXT}),
    *(Shape("sentence pairs", "classification",
            {"text": (first,), "pair": (second,), "label": LABEL}, _pair, {})
      for first, second in PAIRS),
    Shape("yes or no", "classification",
          {"context": CONTEXT, "prompt": ("question",), "label": ("answer", "label")},
          _yes_or_no, {}),
    Shape("history and response", "lm",
          {"prompt": PROMPT, "response": RESPONSE, "history": ("history",)},
          _with_history, {**_ASKED, **_INPUT}),
    Shape("prompt and response", "lm", {"prompt": PROMPT, "response": RESPONSE},
          _question, {**_ASKED, **_INPUT}),
    Shape("text and label", "classification", {"text": TEXT, "label": LABEL}, _labelled, {}),
    Shape("plain text", "text", {"text": TEXT}, _plain, {}),
)  # fmt: skip
TRUTHS = {"true", "false", "yes", "no", "0", "1"}


def find_shape(record: Record, chosen: Mapping[str, str]) -> tuple[Shape, Parts]:
    """Find the shape of data from the columns of a record.

    Args:
        record: First row of the data.
        chosen: Columns that the user names, by part.

    Raises:
        Refusal: If no shape fits, with the column names.

    Example:
        >>> shape, parts = find_shape({"question": "?", "answer": "!", "id": 1}, {})
        >>> shape.name, parts
        ('prompt and response', {'prompt': 'question', 'response': 'answer'})
    """
    names = [str(name) for name in record]
    for column in chosen.values():
        if column not in names:
            raise Refusal(f"A named column must be one of {listed(names)}, got {column!r}.")
    for shape in SHAPES:
        parts = shape.parts(names, chosen)
        if parts is not None and _fits(shape, parts, record):
            return shape, parts
    raise Refusal(
        f"The columns must be of a known shape, got {shortened(listed(names), 60)}. Name them, such"
        f" as prompt=COLUMN,response=COLUMN. Known: {', '.join(_shape_names())}."
    )


def _fits(shape: Shape, parts: Parts, record: Record) -> bool:
    """Return True if the values suit the shape, where names alone are ambiguous."""
    if shape.name == "yes or no":
        return str(record.get(parts["label"])).strip().lower() in TRUTHS
    if shape.name == "plain text":
        return {str(name).lower() for name in record} <= {parts["text"].lower(), *NOTES}
    return True


def _shape_names() -> list[str]:
    return list(dict.fromkeys(shape.name for shape in SHAPES))


def listed(names: list[str], most: int = 20) -> str:
    """Join column names on one line of limited length."""
    texts = [shortened(name, 40) for name in names[:most]]
    return ", ".join([*texts, *(["…"] if len(names) > most else [])]) or "none"
