"""Paired differences of methods at each learning rate that both ran at.

Reads entries and test rows of runs. Chooses no rate; `tuning` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from qtha_lab.experiment.comparison import MARGIN
from qtha_lab.studies.comparison.claims import losses_of_pair
from qtha_lab.studies.comparison.paired import LEAST_SEEDS, PairedDifference
from qtha_lab.studies.comparison.row_losses import TestItems
from qtha_lab.studies.comparison.tuning import family

Entry = dict[str, Any]


class SharedRate(NamedTuple):
    """Paired difference of two methods at one learning rate.

    Attributes:
        pair: Labels without learning rate; the second is subtracted.
        rate: Learning rate of both.
        difference: First minus second, as one claim.
    """

    pair: tuple[str, str]
    rate: float
    difference: PairedDifference


def shared_rates(
    entries: Sequence[Entry],
    pairs: Sequence[tuple[str, str]],
    items: Mapping[str, TestItems],
    margin: float = MARGIN,
) -> Iterator[SharedRate]:
    """Yield the difference of each pair at each rate with at least three common seeds.

    Rates at which a run of either method diverged are omitted.

    Args:
        entries: Entries of ended runs on one (model, task) pair.
        pairs: Pairs of labels without learning rate.
        items: Test rows by run id.
        margin: Largest difference that counts as equivalent.
    """
    rates = sorted({rate for entry in entries if (rate := entry.get("learning_rate"))})
    for pair in pairs:
        for rate in rates:
            there = [e for e in entries if e.get("learning_rate") == rate and family(e) in pair]
            if any(entry["state"] != "finished" for entry in there):
                continue
            losses = losses_of_pair(there, pair, items)
            if losses is not None and len(losses.first) >= LEAST_SEEDS:
                yield SharedRate(pair, rate, losses.difference(margin=margin))
