"""The five figures of a paper, drawn from a recorded comparison."""

import functools
from collections.abc import Callable, Mapping

from qtha_lab.core.settings import unknown
from qtha_lab.figures import (
    Figure,
    forest,
    loss_against_rate,
    loss_curves,
    pareto,
    seed_spread,
)
from qtha_lab.lessons.recordings import RecordedComparison, recorded
from qtha_lab.studies.comparison.figure_names import names_of

LEFT_OUT = ("init=", "ansatz=", "train_circuit=", "use_mpo=", "use_linear=", "lora(r=4")
Names = Mapping[str, str]


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
    return KINDS[kind](runs, names_of(methods_of(runs), names))


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


def _differences(runs: RecordedComparison, names: Names) -> Figure:
    first = next(method for method in names if method.startswith("qtha("))
    others = [method for method in names if method != first]
    rows = []
    for method in others:
        of = runs.difference(method, first, claims=len(others))
        values = {"mean": of.mean, "low": of.low, "high": of.high, "margin": of.margin}
        rows.append({"label": names[method], "verdict": of.verdict, **values})
    return forest(rows, reference=names[first], level=0.05 / len(others))


def _rates(runs: RecordedComparison, names: Names) -> Figure:
    return loss_against_rate(
        [
            {
                "label": name,
                "seed": run.seed,
                "learning_rate": run.learning_rate,
                "value": run.eval_loss,
            }
            for method, name in names.items()
            for run in runs.of(method)
        ]
    )


def _curves(runs: RecordedComparison, names: Names) -> Figure:
    return loss_curves(
        [
            {
                "label": name,
                "seed": run.seed,
                "kind": "eval",
                "steps": run.steps,
                "values": run.curve.tolist(),
            }
            for method, name in names.items()
            for run in runs.of(method, runs.best_rate(method))
        ]
    )


def _losses(runs: RecordedComparison, method: str) -> list[float]:
    return [run.test_loss for run in runs.of(method, runs.best_rate(method))]


def _seeds(runs: RecordedComparison, names: Names) -> Figure:
    values = {name: _losses(runs, method) for method, name in names.items()}
    return seed_spread(values, "test_loss")


def _sizes(runs: RecordedComparison, names: Names) -> Figure:
    points = []
    for method, name in names.items():
        losses = _losses(runs, method)
        mean = sum(losses) / len(losses)
        ends = {"quality_low": min(losses), "quality_high": max(losses)}
        cost = runs.of(method)[0].trainable_parameters
        points.append({"label": name, "cost": cost, "quality": mean, **ends})
    return pareto(points, quality="test_loss")


KINDS: dict[str, Callable[[RecordedComparison, Names], Figure]] = {
    "differences": _differences,
    "rates": _rates,
    "curves": _curves,
    "seeds": _seeds,
    "sizes": _sizes,
}
