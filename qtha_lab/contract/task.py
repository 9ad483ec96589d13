"""Facts of a task, tried with its default options."""

import itertools

from qtha_lab.contract.facts import expect, fact
from qtha_lab.tasks import load_task

LOOKED_AT = 200


def _rows(info) -> list[dict]:
    return list(itertools.islice(info.options().rows(), LOOKED_AT))


@fact("task", "it says what it is, where it is from and under which licence")
def described(info) -> None:
    """Summary, source and licence have text."""
    for name in ("summary", "source", "licence"):
        expect(bool(getattr(info, name).strip()), f"its {name} is empty")


@fact("task", "every row has a key, and messages or a text with a label")
def shaped(info) -> None:
    """The first 200 rows have "key", and "messages" (kind "lm") or "text" and "label"."""
    rows = _rows(info)
    expect(bool(rows), "it has no rows")
    fields = {"messages", "key"} if info.kind == "lm" else {"text", "label", "key"}
    for number, row in enumerate(rows):
        missing = fields - row.keys()
        expect(not missing, f"row {number} lacks {', '.join(sorted(missing))}")


@fact("task", "it can be split, and no key stands on both sides")
def split(info) -> None:
    """Training and evaluation both have rows, and share no key."""
    task = load_task(info.name, seed=0)
    expect(
        bool(task.train) and bool(task.eval),
        f"{len(task.train)} training, {len(task.eval)} evaluation rows",
    )
    shared_keys = {row["key"] for row in task.train} & {row["key"] for row in task.eval}
    expect(
        not shared_keys,
        f"{len(shared_keys)} keys on both sides, such as {sorted(map(str, shared_keys))[:1]}",
    )
