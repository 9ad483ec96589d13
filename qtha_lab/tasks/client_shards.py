"""Partition of the training rows among clients of federated learning.

    3/8                  third of eight equal shares
    3/8 dirichlet(0.3)   third of eight unequal shares

Dirichlet: client k receives a fraction p_k of every label's rows, p ~ Dir(α, …, α). A small α gives
clients few labels and unequal amounts. Without labels, only the amounts differ [R]. Evaluation and
test rows are not partitioned.

Source:
    Hsu, Qi and Brown, arXiv:1909.06335 (Dirichlet distribution over labels).
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
SHARE = re.compile(r"(?P<client>\d{1,9})/(?P<clients>\d{1,9})(?:\s+(?P<split>\S.*))?")


@dataclass(frozen=True)
class ClientShare:
    """Share of the training rows that one client holds.

    Attributes:
        client: Number of the client, from 1 on.
        clients: Number of clients.
        alpha: Parameter of the Dirichlet distribution; None is equal shares.

    Example:
        >>> ClientShare.parse("3/8 dirichlet(0.3)")
        ClientShare(client=3, clients=8, alpha=0.3)
    """

    client: int
    clients: int
    alpha: float | None = None

    @classmethod
    def parse(cls, text: str) -> ClientShare:
        """Parse the text of a share, such as `3/8`."""
        match = SHARE.fullmatch(text.strip())
        if match is None:
            raise Refusal(f"share must have the form 3/8 or 3/8 dirichlet(0.3), got {text!r:.60}.")
        client, clients = int(match["client"]), int(match["clients"])
        if not 1 <= client <= clients:
            raise Refusal(
                f"share must be one of 1/{clients} to {clients}/{clients}, got {text!r:.60}."
            )
        return cls(client, clients, alpha_of(match["split"] or "equal"))

    def of(self, task: Task, seed: int) -> Task:
        """Return the task with this client's training rows."""
        parts = partition(task, self.clients, self.alpha, seed)
        rows = [task.train[place] for place in parts[self.client - 1]]
        return dataclasses.replace(task, train=rows)


def alpha_of(split: str) -> float | None:
    """Return the α of a split: 0.3 of `dirichlet(0.3)`, None of `equal`."""
    match = SPLIT.fullmatch(split.strip())
    try:
        alpha = float(match["alpha"]) if match and match["alpha"] else None
    except ValueError:
        match = alpha = None
    if match is None or (alpha is not None and not 0 < alpha < float("inf")):
        raise Refusal(f"split must be equal or dirichlet(A) with A above 0, got {split!r:.60}.")
    return alpha


def partition(task: Task, clients: int, alpha: float | None, seed: int) -> list[list[int]]:
    """Assign the indices of the training rows to clients, in ascending order.

    Args:
        task: Task with the training rows.
        clients: Number of clients.
        alpha: Parameter of the Dirichlet distribution; None is equal shares.
        seed: Seed of the draw.
    """
    parts = assign_rows([str(row.get("label", "")) for row in task.train], clients, alpha, seed)
    empty = [str(number) for number, part in enumerate(parts, 1) if not part]
    if empty:
        split = "equal shares" if alpha is None else f"dirichlet({alpha:g})"
        raise Refusal(
            f"No row is left for {', '.join(empty)} of {clients} clients by {split} of "
            f"{len(task.train)} training rows. Choose fewer clients, more train_rows or a larger "
            "number in dirichlet."
        )
    return parts


def assign_rows(
    labels: Sequence[str], clients: int, alpha: float | None, seed: int
) -> list[list[int]]:
    """Assign row indices to clients by label; a client may receive none.

    Example:
        >>> assign_rows(["a", "b", "a", "b", "a"], 2, None, seed=0)
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
