"""Facts of a task, checked with its default options."""

import itertools

from qtha_lab.tasks import load_task
from qtha_lab.testing.facts import expect, fact

LOOKED_AT = 200


def _rows(info) -> list[dict]:
    return list(itertools.islice(info.options().rows(), LOOKED_AT))


@fact("task", "it says what it is, where it is from and under which licence")
def described(info) -> None:
    """Check that summary, source and licence have text."""
    for name in ("summary", "source", "licence"):
        expect(bool(getattr(info, name).strip()), f"its {name} is empty")


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


@fact("task", "it can be split, and no key stands on two sides")
def split(info) -> None:
    """Check that training, evaluation and test have rows and share no key."""
    task = load_task(info.name, seed=0)
    sides = (task.train, task.eval, task.test)
    expect(all(sides), "{} training, {} evaluation and {} test rows".format(*map(len, sides)))
    keys = [{row["key"] for row in side} for side in sides]
    shared_keys = set().union(*(a & b for a, b in itertools.combinations(keys, 2)))
    expect(
        not shared_keys,
        f"{len(shared_keys)} keys on two sides, such as {sorted(map(str, shared_keys))[:1]}",
    )
