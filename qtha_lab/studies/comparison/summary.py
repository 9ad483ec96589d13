"""What `summary.json` holds: what took part, the runs, and what they say, all from entries; starts and waits for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qtha_lab.experiment import Comparison
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.findings import notes
from qtha_lab.studies.comparison.protocol import terms
from qtha_lab.studies.comparison.shared_names import names_in, renamed, shared_names


def summary_of(
    comparison: Comparison,
    contenders: Sequence[dict[str, Any]],
    entries: list[dict[str, Any]],
    ended: Iterable[Run],
    repeats: Sequence[dict[str, Any]],
    expected: int,
) -> dict[str, Any]:
    """The summary of a comparison.

    Args:
        comparison: What was run.
        contenders: What each method became (see `lineup.records`).
        entries: Of the runs that have ended (see `entries.entry`).
        ended: These runs, which may have the losses of test rows.
        repeats: Entries of runs at starts moved by a rounding.
        expected: How many runs there will be.

    Returns:
        `comparison`, as plain data; `contenders`, `runs` and `expected` as above; `notes`,
        sentences on what these numbers do and do not show; `claims` and `decomposition`, the
        differences behind them as numbers (see `claims.Claim`); `rounding`, the losses at moved
        starts by method, and `rounding_at`, the rate that each was measured at.
    """
    # here, since a list of runs needs no library of numbers
    from qtha_lab.studies.comparison import rounding_noise as moved_starts
    from qtha_lab.studies.comparison.claims import against_the_first, without_a_loss
    from qtha_lab.studies.comparison.decomposition import decompose
    from qtha_lab.studies.comparison.row_losses import read_items

    items, repeated = read_items(ended), moved_starts.repeats_of(repeats, entries)
    rounding = moved_starts.losses(repeated)
    claims = against_the_first(entries, items, rounding)
    rates = {name: of[0]["learning_rate"] for name, of in repeated.items()}
    sentences = [claim.verdict for claim in claims]
    sentences += [lack.sentence for lack in without_a_loss(entries)]
    sentences += [moved_starts.sentence(rates, entries) or ""]
    summary = {
        "comparison": comparison.model_dump(),
        "lineup": list(contenders),
        "runs": entries,
        "expected": expected,
        "notes": notes(entries, expected, sentences, terms(comparison, contenders, entries)),
        "claims": [claim.plain() for claim in claims],
        "decomposition": [row.plain() for row in decompose(entries, items, rounding)],
        "rounding": rounding,
        "rounding_at": rates,
    }
    return renamed(summary, shared_names(names_in(summary)))
