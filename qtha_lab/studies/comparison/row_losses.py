"""Test losses per row of the runs of a comparison, for pairing by row.

Reads `test.json` of run directories; older runs without this file have no row losses.
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
    """Test rows of one run with their losses.

    Attributes:
        names: One name per row, the same in every run on one model.
        losses: Contribution of each row to the mean: its loss, multiplied by its labels over the
            mean number of labels.
    """

    __test__ = False  # pytest must not collect this class

    names: tuple[str, ...]
    losses: Float[np.ndarray, " items"]

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> TestItems:
        """Read the items of a `test.json`; their mean loss is the test loss."""
        losses, labels = (np.array(recorded[name], float) for name in ("losses", "labels"))
        return cls(tuple(recorded["items"]), losses * len(losses) / labels.sum())


def read_items(runs: Iterable[Run]) -> dict[str, TestItems]:
    """Read the test items of all runs that have them, by run id."""
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
    """Return the losses of runs, one row per run.

    Columns are the test items if all runs have the same items. Otherwise there is one column with
    `measure`. The result is None if a run lacks it.

    Args:
        entries: Entries of the runs, in the order of the rows.
        items: Test items by run id, for the runs that have them.
        measure: Measure to use, such as `eval_loss`; test items are used for `test_loss` only.
    """
    tested = [items.get(entry.get("run_id", "")) for entry in entries]
    if measure == "test_loss" and None not in tested:
        known = [test for test in tested if test is not None]
        if len({test.names for test in known}) == 1:
            return np.stack([test.losses for test in known])
    numbers = [entry.get(measure) for entry in entries]
    return None if None in numbers else np.array(numbers, float)[:, None]
