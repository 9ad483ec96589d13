"""Test losses per row of the runs of a comparison, for pairing by row.

Reads `test.json` of run directories; older runs without this file have no row losses, and older
files without keys give rows that are taken as independent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qtha_lab.core.io import read_mapping
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.paired import MARGIN, PairedDifference, paired_difference

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestItems:
    """Test rows of one run with their losses.

    Attributes:
        names: One name per row, the same in every run on one model.
        losses: Contribution of each row to the mean: its loss, multiplied by its labels over the
            mean number of labels.
        keys: Number of each row's split key; None if an older run did not record them.
        weights: Labels of each row over their mean; None weighs rows equally.
        key_name: Name of one key in sentences.
    """

    __test__ = False  # pytest must not collect this class

    names: tuple[str, ...]
    losses: Float[np.ndarray, " items"]
    keys: tuple[int, ...] | None = None
    weights: Float[np.ndarray, " items"] | None = None
    key_name: str = "key"

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> TestItems:
        """Read the items of a `test.json`; their mean loss is the test loss."""
        losses, labels = (np.array(recorded[name], float) for name in ("losses", "labels"))
        weights, keys = labels / labels.mean(), recorded.get("keys")
        if keys is not None and not len(keys) == len(recorded["items"]):
            raise ValueError(f"{len(keys)} keys of {len(recorded['items'])} rows")
        return cls(
            tuple(recorded["items"]),
            losses * len(losses) / labels.sum(),
            None if keys is None else tuple(map(int, keys)),
            weights,
            str(recorded.get("key_name", "key")),
        )


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


class PairedLosses(NamedTuple):
    """Losses of two methods, (seeds, rows) each, with the common test rows.

    Attributes:
        first: Losses of the first method.
        second: Losses of the second method.
        rows: Test items of one run, for keys and weights; None if only means are known.
    """

    first: Float[np.ndarray, "seeds rows"]
    second: Float[np.ndarray, "seeds rows"]
    rows: TestItems | None = None

    def difference(self, claims: int = 1, margin: float = MARGIN) -> PairedDifference:
        """Compute the paired difference, first minus second, by seed and key."""
        of = self.rows or TestItems((), np.zeros(0))
        return paired_difference(
            self.first,
            self.second,
            keys=of.keys,
            weights=of.weights,
            key_name=of.key_name,
            claims=claims,
            margin=margin,
        )


def paired_losses(
    first: pandas.DataFrame, second: pandas.DataFrame, items: Mapping[str, TestItems], measure: str
) -> PairedLosses | None:
    """Return the losses of two methods; None if any is missing."""
    import pandas

    runs = pandas.concat([first, second])
    losses = losses_of(runs, items, measure)
    if losses is None:
        return None
    tested = _common_rows(runs, items, measure) or [None]
    rows = next((test for test in tested if test and test.keys is not None), tested[0])
    return PairedLosses(losses[: len(first)], losses[len(first) :], rows)


def losses_of(
    runs: pandas.DataFrame, items: Mapping[str, TestItems], measure: str
) -> Float[np.ndarray, "seeds items"] | None:
    """Return the losses of runs, one row per run.

    Columns are the test items if all runs have the same items. Otherwise there is one column with
    `measure`. The result is None if a run lacks it.
    """
    if tested := _common_rows(runs, items, measure):
        return np.stack([test.losses for test in tested])
    losses = runs[measure]
    return None if losses.isna().any() else losses.to_numpy(float)[:, None]


def _common_rows(
    runs: pandas.DataFrame, items: Mapping[str, TestItems], measure: str
) -> list[TestItems] | None:
    """Return the test items of all runs; None unless all have the same."""
    tested = [items.get(run_id) for run_id in runs["run_id"]]
    known = [test for test in tested if test is not None]
    is_common = len(known) == len(tested) and len({test.names for test in known}) == 1
    return known if measure == "test_loss" and is_common else None
