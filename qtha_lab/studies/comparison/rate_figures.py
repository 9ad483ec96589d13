"""Figure of the differences at each learning rate that all methods of a comparison share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.difference_by_rate import RateDifference, difference_by_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import run_data as reading
from qtha_lab.studies.comparison.figure_names import names_of
from qtha_lab.studies.comparison.rate_differences import SharedRate, shared_rates
from qtha_lab.studies.comparison.row_losses import read_items
from qtha_lab.studies.comparison.tuning import family


def rate_rows(
    differences: Iterable[SharedRate], names: Mapping[tuple[str, str], str], place: str = ""
) -> list[RateDifference]:
    """Return differences as rows of the figure.

    Args:
        differences: Differences at shared rates.
        names: Name of each pair in the figure.
        place: Panel of these differences.
    """
    return [
        {
            "label": names[of.pair],
            "place": place,
            "learning_rate": of.rate,
            "mean": of.difference.mean,
            "low": of.difference.low,
            "high": of.difference.high,
            "verdict": of.difference.verdict,
            "seeds": of.difference.seeds,
        }
        for of in differences
    ]


def rate_figures(
    runs: Sequence[Run], reference: str, measure: str, margin: float
) -> Iterator[Figure]:
    """Draw the difference of each method to a reference, where several rates were shared.

    Args:
        runs: Runs of one (model, task) pair, at all rates.
        reference: Label without learning rate that is subtracted.
        measure: Compared loss.
        margin: Largest difference that counts as equivalent.
    """
    entries = reading.entries(runs)
    families = list(dict.fromkeys(map(family, entries)))
    pairs = [(label, reference) for label in families if label != reference]
    differences = list(shared_rates(entries, pairs, read_items(runs), margin))
    if len({of.rate for of in differences}) > 1:
        names = names_of(families)
        rows = rate_rows(differences, {pair: names[pair[0]] for pair in pairs})
        yield difference_by_rate(rows, measure, shown(names[reference]))
