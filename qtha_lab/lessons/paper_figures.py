"""The five figures of a paper, drawn from a recorded comparison."""

import functools
from collections.abc import Mapping

from qtha_lab.core.settings import unknown
from qtha_lab.figures import Figure
from qtha_lab.lessons.recordings import RecordedComparison, recorded
from qtha_lab.studies.comparison.claims import Claim
from qtha_lab.studies.comparison.compared import Compared, names_of
from qtha_lab.studies.comparison.findings import FINDINGS

NAMES = {
    "differences": "differences",
    "rates": "loss_by_rate",
    "curves": "losses",
    "seeds": "seeds",
    "sizes": "fronts",
}
KINDS = {kind: entry for kind, name in NAMES.items() for entry in FINDINGS if entry.name == name}
"""Findings of a paper, by the name of their figure in the lesson."""
LEFT_OUT = ("init=", "ansatz=", "train_circuit=", "use_mpo=", "use_linear=", "lora(r=4")


@functools.lru_cache(maxsize=32)
def paper_figure(kind: str, recording: str = "confirm-qa", names: str = "short") -> Figure:
    """Draw one of five figures of a recorded comparison, each method at its best rate.

    Args:
        kind: One of `KINDS`.
        recording: Name of the recorded comparison.
        names: "short" or "full" names of the methods.

    Raises:
        Refusal: If the kind or the recording is unknown.

    Example:
        >>> paper_figure("seeds").title
        'Test loss by seed'
    """
    if kind not in KINDS:
        raise unknown("figure", kind, KINDS)
    runs = recorded(recording)
    compared = _compared(runs, names_of(methods_of(runs), names))
    return KINDS[kind].of(compared).figures[0]


def methods_of(runs: RecordedComparison) -> list[str]:
    """Return the methods of the figures: LoRA, QTHA and the controls of its circuit."""
    plain = [m for m in runs.methods if m.startswith(("lora(", "qtha("))]
    return [m for m in plain if not any(part in m for part in LEFT_OUT)]


def caption_needs(recording: str) -> list[str]:
    """Return the facts that the caption of a figure of a recorded comparison must state."""
    runs = recorded(recording)
    return [
        f"model {runs.model}, task {runs.task}",
        f"{len(runs.seeds)} seeds, {len(runs.runs[0].rows)} test rows",
        f"each method at its best of {len(runs.learning_rates)} learning rates, chosen on "
        "evaluation rows",
        "the rule of the intervals, and what the figure does not show",
    ]


def _compared(runs: RecordedComparison, names: Mapping[str, str]) -> Compared:
    """Return a recorded comparison as findings read it; the reference is the first QTHA."""
    entries = [
        {
            "label": name,
            "method": name,
            "state": "finished",
            "seed": run.seed,
            "learning_rate": run.learning_rate,
            "eval_loss": run.eval_loss,
            "test_loss": run.test_loss,
            "trainable_parameters": run.trainable_parameters,
            "events": [
                {"kind": "eval", "step": step, "loss": float(loss)}
                for step, loss in zip(run.steps, run.curve, strict=True)
            ],
        }
        for method, name in names.items()
        for run in runs.of(method)
    ]
    first = next(method for method in names if method.startswith("qtha("))
    others = [method for method in names if method != first]
    claims = [
        Claim(
            names[method],
            names[first],
            "test_loss",
            runs.difference(method, first, claims=len(others)),
        ).plain()
        for method in others
    ]
    return Compared({"runs": entries, "claims": claims}, bars="range")
