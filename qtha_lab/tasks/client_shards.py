"""Training rows shared out among clients: which of them one client has.

    3/8                  the third of eight equal shares
    3/8 dirichlet(0.3)   the third of eight unequal ones

Dirichlet: of every label, client k has a part p_k with p ~ Dir(α, …, α), so a small α gives clients few labels
and unequal amounts. A task without labels is shared by amounts alone [R]. Evaluation and test rows stay whole.

Source:
    Hsu, Qi and Brown, arXiv:1909.06335, have the Dirichlet over labels.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.tasks.task import Task

SPLIT = re.compile(r"equal|dirichlet\(\s*(?P<alpha>[0-9.eE+-]+)\s*\)")
SHARE = re.compile(r"(?P<client>\d+)/(?P<clients>\d+)(?:\s+(?P<split>\S.*))?")


@dataclass(frozen=True)
class Share:
    """The part of the training rows that one client has.

    Attributes:
        client: Which one, from 1 on.
        clients: How many there are.
        alpha: Of the Dirichlet distribution; None is equal shares.

    Example:
        >>> Share.parse("3/8 dirichlet(0.3)")
        Share(client=3, clients=8, alpha=0.3)
    """

    client: int
    clients: int
    alpha: float | None = None

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read a share as it is written.

        Raises:
            Refusal: If it is none.
        """
        match = SHARE.fullmatch(text.strip())
        if match is None:
            raise Refusal(f"a share must read 3/8 or 3/8 dirichlet(0.3), not {text!r:.60}")
        client, clients = int(match["client"]), int(match["clients"])
        if not 1 <= client <= clients:
            raise Refusal(
                f"a share must be one of 1/{clients} to {clients}/{clients}, not {text!r:.60}"
            )
        return cls(client, clients, alpha_of(match["split"] or "equal"))

    def of(self, task: Task, seed: int) -> Task:
        """The task with this client's training rows.

        Raises:
            Refusal: If any client would have none.
        """
        parts = shared_out(task, self.clients, self.alpha, seed)
        rows = [task.train[place] for place in parts[self.client - 1]]
        return dataclasses.replace(task, train=rows)


def alpha_of(split: str) -> float | None:
    """The α of a split: of `dirichlet(0.3)` 0.3, of `equal` None.

    Raises:
        Refusal: If it is neither.
    """
    match = SPLIT.fullmatch(split.strip())
    try:
        alpha = float(match["alpha"]) if match and match["alpha"] else None
    except ValueError:
        match = alpha = None
    if match is None or (alpha is not None and not 0 < alpha < float("inf")):
        raise Refusal(f"a split must be equal or dirichlet(A) with A above 0, not {split!r:.60}")
    return alpha


def shared_out(task: Task, clients: int, alpha: float | None, seed: int) -> list[list[int]]:
    """The places of every client's rows among the training rows, in their order.

    Args:
        task: Whose training rows are shared out.
        clients: How many clients.
        alpha: Of the Dirichlet distribution; None is equal shares.
        seed: Of the draw.

    Raises:
        Refusal: If a client would have no rows.
    """
    parts = deal([str(row.get("label", "")) for row in task.train], clients, alpha, seed)
    empty = [str(number) for number, part in enumerate(parts, 1) if not part]
    if empty:
        split = "equal shares" if alpha is None else f"dirichlet({alpha:g})"
        some = "client" if len(empty) == 1 else "clients"
        raise Refusal(
            f"{some} {', '.join(empty)} of {clients} would have no rows: {split} of {len(task.train)} training rows; "
            "fewer clients, more train_rows or a larger number in dirichlet leave none empty"
        )
    return parts


def deal(labels: Sequence[str], clients: int, alpha: float | None, seed: int) -> list[list[int]]:
    """The places of every client's rows, by their labels; a client may have none.

    Args:
        labels: One a row.
        clients: How many clients.
        alpha: Of the Dirichlet distribution; None is equal shares.
        seed: Of the draw.

    Example:
        >>> deal(["a", "b", "a", "b", "a"], 2, None, seed=0)
        [[0, 2, 4], [1, 3]]
    """
    if alpha is None:
        return [list(range(client, len(labels), clients)) for client in range(clients)]
    by_label: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        by_label.setdefault(label, []).append(place)
    random = np.random.default_rng([seed, clients])
    parts: list[list[int]] = [[] for _ in range(clients)]
    for label in sorted(by_label):
        places = by_label[label]
        ends = np.cumsum(random.dirichlet([alpha] * clients))[:-1] * len(places)
        for part, more in zip(parts, np.split(places, ends.round().astype(int)), strict=True):
            part.extend(int(place) for place in more)
    return [sorted(part) for part in parts]
