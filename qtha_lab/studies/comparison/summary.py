"""Content of `summary.json`: contenders, runs, notes and claims, computed from entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qtha_lab.experiment import Comparison
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.notes import notes
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.protocol import protocol_sentences
from qtha_lab.studies.comparison.shared_names import names_in, renamed, shared_names


def summary_of(
    comparison: Comparison,
    contenders: Sequence[dict[str, Any]],
    entries: list[dict[str, Any]],
    ended: Iterable[Run],
    repeats: Sequence[dict[str, Any]],
    expected: int,
) -> dict[str, Any]:
    """Compute the summary of a comparison.

    Args:
        comparison: Comparison that was run.
        contenders: Records of the contenders (see `contenders.records`).
        entries: Entries of the runs that have ended (see `entries.entry`).
        ended: The ended runs, which may have test losses per row.
        repeats: Entries of runs with 1-ulp perturbations of the initial weights.
        expected: Number of planned runs.

    Returns:
        `comparison`, as plain data; the contenders, `runs` and `expected` as above; `notes`,
        sentences on results and limits; `claims`, `controls` and `decomposition`, the differences
        to the first method, to a method's own control and of parts of QTHA as numbers (see
        `claims.Claim`); `rounding`, the losses under 1-ulp perturbation by method; over
        several (model, task) pairs `pooled`, the pooled differences.
    """
    # imported here, since lists of runs do not need NumPy and SciPy
    from qtha_lab.studies.comparison import rounding_noise
    from qtha_lab.studies.comparison.claims import against_the_first, without_a_loss
    from qtha_lab.studies.comparison.controls import against_controls, decompose
    from qtha_lab.studies.comparison.neighbouring_rates import robustness_sentences
    from qtha_lab.studies.comparison.row_losses import read_items

    items = read_items(ended)
    rounding = rounding_noise.losses(rounding_noise.repeats_of(repeats, entries))
    claims = against_the_first(entries, items, comparison.margin)
    parts = decompose(entries, items, comparison.margin)
    of_parts = {(row.claim.first, row.claim.second) for row in parts}
    controls = against_controls(entries, items, comparison.margin)
    sentences = [claim.sentence for claim in claims]
    sentences += robustness_sentences(claims)
    sentences += [lacking.sentence for lacking in without_a_loss(entries)]
    sentences += [rounding_noise.noise_sentence(rounding, len(comparison.seeds)) or ""]
    summary: dict[str, Any] = {
        "comparison": comparison.model_dump(),
        "contenders": list(contenders),
        "runs": entries,
        "expected": expected,
        "notes": notes(
            entries, expected, sentences, protocol_sentences(comparison, contenders, entries)
        ),
        "claims": [claim.plain() for claim in claims],
        "controls": [c.plain() for c in controls if (c.first, c.second) not in of_parts],
        "decomposition": [row.plain() for row in parts],
        "rounding": rounding,
    }
    if pivot_table := PivotTable.of(summary):
        summary["pooled"] = [pooled.plain() for pooled in pivot_table.pooled()]
        summary["notes"] += [pooled["sentence"] for pooled in summary["pooled"]]
    return renamed(summary, shared_names(names_in(summary)))
