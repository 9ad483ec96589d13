"""Facts of a task, checked with its default options."""

import itertools

from qtha_lab.core.io import shortened
from qtha_lab.core.settings import settings_of
from qtha_lab.tasks import load_task
from qtha_lab.testing.facts import expect, expect_effect, expect_text, fact

LOOKED_AT = 200
MOST_COMPARED = 20_000
SHARED = 0.1  # of the inputs of a side, such as a greeting


def _rows(info) -> list[dict]:
    return list(itertools.islice(info.options().rows(), LOOKED_AT))


@fact("task", "its summary, source and licence have text")
def task_texts(info) -> None:
    """Check that summary, source and licence have text."""
    expect_text(info, "summary", "source", "licence")


@fact("task", "every row has a key, and messages or a text with a label")
def shaped(info) -> None:
    """Check that rows have "key", and "messages" (kind "lm") or "text" and "label".

    The first 200 rows are checked.
    """
    rows = _rows(info)
    expect(bool(rows), "it has no rows")
    fields = {"messages", "key"} if info.kind == "lm" else {"text", "label", "key"}
    for number, row in enumerate(rows):
        missing = fields - row.keys()
        expect(not missing, f"row {number} lacks {', '.join(sorted(missing))}")
        _check_content(row, number)


def _check_content(row: dict, number: int) -> None:
    messages = row.get("messages")
    if messages is None:
        expect(bool(str(row["text"]).strip()), f"row {number} has an empty text")
        return
    for message in messages:
        text = message.get("content")
        expect(isinstance(text, str), f"row {number}: content must be text, got {shortened(text)}")
        expect(bool(text.strip()), f"row {number} has an empty {_noun(message)}")
    last = messages[-1].get("role") if messages else None
    expect(last == "assistant", f"row {number} must end with an answer, got the role {last!r}")


def _noun(message: dict) -> str:
    return "answer" if message.get("role") == "assistant" else "prompt"


@fact("task", "its rows come twice in the same order, and every setting changes them")
def task_repeatable(info) -> None:
    """Check that the first 200 rows repeat, and that settings have an effect."""
    expect(_rows(info) == _rows(info), "the rows come in another order at the second reading")

    def signature(options: dict) -> list:
        return list(itertools.islice(info.options(**options).rows(), MOST_COMPARED))

    expect_effect(settings_of(info.options), [{}], signature)


@fact("task", "it can be split, and no key stands on two sides")
def split(info) -> None:
    """Check that training, evaluation and test have rows and share no key."""
    task = load_task(info.name, seed=0)
    sides = (task.train, task.eval, task.test)
    expect(all(sides), "{} training, {} evaluation and {} test rows".format(*map(len, sides)))
    if info.memorised:  # evaluation and test rows are training rows there
        sides = sides[1:]
    keys = [{row["key"] for row in side} for side in sides]
    shared_keys = set().union(*(a & b for a, b in itertools.combinations(keys, 2)))
    expect(
        not shared_keys,
        f"{len(shared_keys)} keys on two sides, such as {sorted(map(str, shared_keys))[:1]}",
    )
    texts = [{_input_of(row) for row in side} for side in sides]
    shared_texts = set().union(*(a & b for a, b in itertools.combinations(texts, 2)))
    expect(
        len(shared_texts) <= SHARED * min(map(len, texts)),
        f"{len(shared_texts)} inputs stand on two sides, such as "
        f"{shortened(min(shared_texts, default=''), 60)!r}: give equal inputs one key",
    )


def _input_of(row: dict) -> str:
    """Return the text before the last answer."""
    if "messages" not in row:
        return row["text"]
    return "\n".join(message["content"] for message in row["messages"][:-1])
