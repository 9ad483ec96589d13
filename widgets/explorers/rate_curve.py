"""An explorer of recorded losses against the learning rate, for two methods of a comparison.

Runs and differences come from `lessons.recorded`, pictures from `figures.learning_rate` and
`figures.curves`.
"""

import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.loss_against_rate import End, loss_against_rate
from qtha_lab.figures.loss_curves import Series, loss_curves
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons.recordings import RecordedComparison, recorded, recording_names
from qtha_lab.studies.comparison.paired import PairedDifference

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

MEASURES = ("test_loss", "eval_loss", "train_loss")
OWN = "each its own best"
QTHA, CONTROL = "qtha(r=4,waist=16,bond_dim=3)", "qtha(r=4,waist=16,bond_dim=3,use_circuit=false)"


class RateCurveModel(ExplorerModel):
    """Two recorded methods at shared or own learning rates.

    Args:
        options: Initial values of its state, such as recording="smollm2-qa".

    Example:
        >>> curve = RateCurveModel(recording="tiny-chat", learning_rate=0.03)
        >>> f"{curve.difference.mean:+.2f}"
        '-0.12'
    """

    STATE = ("recording", "first", "second", "learning_rate", "measure")
    PRESETS: ClassVar = {
        "Who wins at one shared rate?": {
            "recording": "tiny-chat",
            "first": QTHA,
            "second": "lora(r=8)",
            "learning_rate": 0.03,
            "measure": "test_loss",
        },
        "Who wins at each method's own rate?": {
            "recording": "tiny-chat",
            "first": QTHA,
            "second": "lora(r=8)",
            "learning_rate": None,
            "measure": "test_loss",
        },
        "Does the circuit move the best rate?": {
            "recording": "tiny-qa",
            "first": QTHA,
            "second": CONTROL,
            "learning_rate": None,
            "measure": "test_loss",
        },
    }
    recording, first, second = Choice(), Choice(label="method"), Choice(label="minus")
    learning_rate, measure = Choice(label="learning rate"), Choice(MEASURES)

    def __init__(self, **options: Any):
        usual = {"recording": "tiny-chat", "first": QTHA, "second": "lora(r=8)"}
        super().__init__(usual | options)

    @property
    def difference(self) -> PairedDifference:
        """Paired difference of test losses in the current state."""
        return self._runs(self).difference(self.first, self.second, self.learning_rate)

    def offers(self, name: str) -> Sequence:
        if name == "recording":
            return [other for other in recording_names() if other != "confirm-qa"]
        if name == "measure":
            return MEASURES
        runs = self._runs(self)
        if name == "learning_rate":
            return [(OWN, None), *((f"{rate:g}", rate) for rate in runs.learning_rates)]
        return [(shown(method), method) for method in runs.methods]

    def usual(self, name: str) -> Any:
        if name in ("first", "second"):
            methods, kind = self._runs(self).methods, "qtha(" if name == "first" else "lora("
            return next(method for method in methods if method.startswith(kind))
        return super().usual(name)

    def compute(self, state: SimpleNamespace) -> Drawing:
        runs = self._runs(state)
        chosen = list(dict.fromkeys((state.first, state.second)))
        series: list[Series] = [
            {
                "label": run.method,
                "seed": run.seed,
                "kind": "eval",
                "steps": run.steps,
                "values": run.curve.tolist(),
            }
            for method in chosen
            for run in runs.of(method, _rate(runs, method, state))
        ]
        figures = {
            "rates": _all_rates(state.recording, *chosen, measure=state.measure),
            "curves": loss_curves(series),
        }
        call = f"{state.first!r}, {state.second!r}, learning_rate={state.learning_rate}"
        code = f"recorded({state.recording!r}).difference({call})"
        found = runs.difference(state.first, state.second, state.learning_rate)
        row = {
            "test loss": f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] nat",
            "rates": " and ".join(f"{_rate(runs, method, state):g}" for method in chosen),
            "verdict": found.verdict,
            "seeds": str(found.seeds),
        }
        return Drawing(figures, [row], code)

    def _runs(self, state: Any) -> RecordedComparison:
        return recorded(state.recording or "tiny-chat")


class RateCurve(Explorer, RateCurveModel):
    """Panel of two recorded methods at shared or own learning rates."""

    ROWS = (("recording", "first", "second"), ("learning_rate", "measure"))


@functools.lru_cache(maxsize=8)
def _all_rates(recording: str, *methods: str, measure: str) -> Figure:
    """Plot the losses of methods at all their rates, for any chosen rate."""
    ends: list[End] = [
        {
            "label": run.method,
            "seed": run.seed,
            "learning_rate": run.learning_rate,
            "value": getattr(run, measure),
        }
        for method in methods
        for run in recorded(recording).of(method)
    ]
    return loss_against_rate(ends, measure)


def _rate(runs: RecordedComparison, method: str, state: Any) -> float:
    return runs.best_rate(method) if state.learning_rate is None else state.learning_rate
