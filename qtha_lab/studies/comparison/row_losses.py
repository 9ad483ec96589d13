"""The losses of test rows, one by one, as the runs of a comparison left them: what makes pairs of items.

Reads `test.json` of run directories; a run recorded before there was one has none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from qtha_lab.core.io import read_mapping
from qtha_lab.runs.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestItems:
    """The test rows of one run.

    Attributes:
        names: One of each row, the same in every run on one model.
        losses: What each row adds to the mean: its loss, times its labels over the mean number of
            labels.
    """

    __test__ = False  # no test of pytest's

    names: tuple[str, ...]
    losses: Float[np.ndarray, " items"]

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> TestItems:
        """The items that a `test.json` holds; the mean of their losses is the test loss of the run."""
        losses, labels = (np.array(recorded[name], float) for name in ("losses", "labels"))
        return cls(tuple(recorded["items"]), losses * len(losses) / labels.sum())


def read_items(runs: Iterable[Run]) -> dict[str, TestItems]:
    """The items of the runs that have them, by run id."""
    items = {}
    for run in runs:
        recorded = read_mapping(run.files.test)
        try:
            if recorded is not None:
                items[run.id] = TestItems.of(recorded)
        except (KeyError, TypeError, ValueError) as reason:
            log.warning("the test rows of %s cannot be read: %r", run.id, reason)
    return items


def losses_of(
    entries: Sequence[Mapping[str, Any]], items: Mapping[str, TestItems], measure: str
) -> Float[np.ndarray, "seeds items"] | None:
    """The losses of runs, a row for each: of test items if all have the same, else one number, else None.

    Args:
        entries: Of the runs, in the order of the rows.
        items: Of the runs that have them, by run id.
        measure: What to take where a run has none, such as `eval_loss`.
    """
    tested = [items.get(entry.get("run_id", "")) for entry in entries]
    if measure == "test_loss" and None not in tested:
        known = [test for test in tested if test is not None]
        if len({test.names for test in known}) == 1:
            return np.stack([test.losses for test in known])
    numbers = [entry.get(measure) for entry in entries]
    return None if None in numbers else np.array(numbers, float)[:, None]
