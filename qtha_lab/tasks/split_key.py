"""Choose the split key of a user's rows, which is on one side only.

The key is text, thread, prompt or first user message. It is the answer only if answers hardly
repeat.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from qtha_lab.tasks.splits import normalised
from qtha_lab.tasks.task import Kind, label_texts

FEWEST_KEYS = 10
HARDLY_REPEAT = 0.9
"""Distinct answers per row from which a file is split by answer."""
REPEATS = 4
"""Rows per distinct answer from which the answers of a file are labels."""


class KeyedRows(NamedTuple):
    """Rows with their key, and the name of the key."""

    name: str
    rows: list[dict]


def with_keys(rows: list[dict], kind: Kind) -> KeyedRows:
    """Set the key of each row of a file.

    Example:
        >>> answer = {"role": "assistant", "content": "good"}
        >>> films = [{"role": "user", "content": f"Film {i}"} for i in range(20)]
        >>> with_keys([{"messages": [film, answer]} for film in films], "lm").name
        'prompt'
    """
    if kind in ("classification", "regression", "text"):
        name = "first text" if any("pair" in row for row in rows) else "text"
    else:
        name = "prompt" if kind == "preference" else _name(rows)
    return KeyedRows(name, [_without_thread(row) | {"key": _key(row, name)} for row in rows])


def few_answers(rows: Iterable[dict]) -> tuple[str, ...]:
    """Return the sorted distinct answers if they are few enough to be labels, else ()."""
    texts = [text for row in rows for text in label_texts(row)]
    distinct = sorted(set(texts))
    return tuple(distinct) if len(distinct) * REPEATS <= len(texts) else ()


def first_prompt(row: dict) -> str:
    """Return the first user message, or all messages before the first answer."""
    roles = [message["role"] for message in row["messages"]]
    if "user" in roles:
        return row["messages"][roles.index("user")]["content"]
    answer = roles.index("assistant", 1) if "assistant" in roles[1:] else None
    return "\n".join(m["content"] for m in row["messages"][:answer])


def _name(rows: list[dict]) -> str:
    if any("thread" in row for row in rows):
        return "thread"
    answers = {tuple(sorted(map(normalised, label_texts(row)))) for row in rows}
    prompts = {normalised(first_prompt(row)) for row in rows}
    single = all(sum(m["role"] == "assistant" for m in row["messages"]) == 1 for row in rows)
    hardly = len(answers) >= HARDLY_REPEAT * len(rows)
    if single and hardly and len(answers) <= len(prompts):
        return "answer"
    if len(prompts) >= FEWEST_KEYS:
        return "prompt" if single else "first user message"
    return "row" if single else "conversation"


def _key(row: dict, name: str) -> str:
    if name in ("text", "first text"):
        return row["text"]
    if name == "answer":
        (answer,) = label_texts(row)
        return answer
    if name in ("row", "conversation"):
        return json.dumps(row["messages"], ensure_ascii=False)
    return row.get("thread") or first_prompt(row)


def _without_thread(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "thread"}
