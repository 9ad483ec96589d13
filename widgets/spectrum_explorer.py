"""Singular values of an update over run × layer × step, from runs, recorded events or a live model.

Values come from `analysis.snapshot`, pictures from `figures.spectra`; this ties them to three controls.
"""

import bisect
from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets as ipw
import numpy as np

from qtha_lab.analysis import snapshot, spectrum_of
from qtha_lab.compare import reading
from qtha_lab.errors import Refusal
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.spectra import singular_values, spectrum_over_training

from . import look
from .aria import Aria
from .redraw import Redrawn

RANKS = {
    "rank": lambda s: str(s.numerical_rank()),
    "effective": lambda s: f"{s.effective_rank:.2f}",
    "stable": lambda s: f"{s.stable_rank:.2f}",
    "‖ΔW‖": lambda s: f"{s.norm:.3g}",
}
LEADING = (("16", 16), ("64", 64), ("all", None))


class SpectrumExplorer:
    """Three controls (run, layer, step) over recorded spectra; show it, or `explorer.panel`.

    Args:
        sources: By label: a run (anything with `history()`), events as in `events.jsonl`, or a model
            with an adapter, which is looked at as it is now.

    Raises:
        ValueError: If nothing has a record; runs keep one where `spectrum_every` is above 0.

    Example:
        >>> event = {"kind": "spectrum", "step": 5, "layers": {"0.q": [2.0, 1.0]}}
        >>> explorer = SpectrumExplorer({"lora": [event]})
        >>> explorer.code
        "singular_values({'lora': [2.0, 1.0]}, of='ΔW of 0.q, step 5')"
    """

    def __init__(self, sources: Mapping[str, Any]):
        read = {label: reading.spectra(_events(source)) for label, source in sources.items()}
        self.records = {label: layers for label, layers in read.items() if layers}
        if not self.records:
            wanted = "set spectrum_every above 0"
            raise Refusal(f"none of {len(read)} sources holds spectra: {wanted}")
        self.run = ipw.Dropdown(description="run", options=list(self.records))
        self.layer = ipw.Dropdown(description="layer", layout={"width": "380px"})
        self.most = ipw.Dropdown(description="leading", options=LEADING, layout={"width": "170px"})
        self.step = ipw.SelectionSlider(description="step", options=[0], layout={"width": "380px"})
        self.ranks = look.text("", "qtha-table")
        self.twin = look.text("", "qtha-code")
        self._offer_layers()
        self._offer_steps()
        self.run.observe(self._run_picked, "value")
        self.layer.observe(self._layer_picked, "value")
        for control in (self.step, self.most):
            control.observe(lambda _: self.draw_step(), "value")
        self.decay, self.history = Redrawn(self._decay()), Redrawn(self._history())
        self.panel = look.column(
            *(
                look.style_sheet(),
                Aria(),
                look.row(self.run, self.layer, self.step, self.most),
                self.ranks,
            ),
            *(self.decay.panel, self.history.panel, self.twin),
            css="qtha-explorer",
        )
        self._tell()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.panel)

    @property
    def shown(self) -> dict[str, list[float]]:
        """All singular values, by run: at the step, or the last one before it."""
        layer, step = self.layer.value, self.step.value
        there = {label: layers[layer] for label, layers in self.records.items() if layer in layers}
        last = {label: bisect.bisect_right(one.steps, step) - 1 for label, one in there.items()}
        return {label: there[label].values[at] for label, at in last.items() if at >= 0}

    @property
    def code(self) -> str:
        """The line that draws the same without this panel."""
        leading = self._leading.items()
        values = {label: [float(f"{v:.4g}") for v in one] for label, one in leading}
        return f"singular_values({values!r}, of={self._of!r})"

    @property
    def _leading(self) -> dict[str, list[float]]:
        return {label: one[: self.most.value] for label, one in self.shown.items()}

    @property
    def _of(self) -> str:
        cut = any(len(one) > len(self._leading[label]) for label, one in self.shown.items())
        told = f", {self.most.value} leading" if cut else ""
        return f"ΔW of {self.layer.value}, step {self.step.value}{told}"

    def draw_step(self) -> None:
        """Draw the spectra at the chosen step, one line a run."""
        self.decay.show(self._decay())
        self._tell()

    def _decay(self) -> Figure:
        return singular_values(self._leading, of=self._of)

    def _history(self) -> Figure:
        label, layer = self.run.value, self.layer.value
        one = self.records[label][layer]
        return spectrum_over_training(one.steps, one.values, of=f"ΔW of {layer}, {label}")

    def _tell(self) -> None:
        """The ranks at the step, and the line that draws it."""
        self.ranks.value = look.table([_ranks(label, one) for label, one in self.shown.items()])
        self.twin.value = look.code(self.code)

    def _run_picked(self, _change) -> None:
        self._offer_layers()
        self._layer_picked()

    def _layer_picked(self, _change=None) -> None:
        self._offer_steps()
        self.history.show(self._history())
        self.draw_step()

    def _offer_layers(self) -> None:
        layers, kept = list(self.records[self.run.value]), self.layer.value
        if list(self.layer.options) != layers:
            self.layer.options = layers
        self.layer.value = kept if kept in layers else layers[0]

    def _offer_steps(self) -> None:
        """The steps of the record; the slider stays where it was, or goes to the end."""
        steps, kept = self.records[self.run.value][self.layer.value].steps, self.step.value
        if list(self.step.options) != steps:
            self.step.options = steps
            self.step.value = kept if kept in steps and kept != 0 else steps[-1]


def _events(source: Any) -> Iterable[dict]:
    """The events of a run, of a list, or of a model as it is now."""
    if hasattr(source, "history"):
        return source.history()
    if hasattr(source, "named_modules"):
        return [{"kind": "spectrum", "step": 0, **snapshot(source)}]
    return source


def _ranks(label: str, values: list[float]) -> dict[str, str]:
    """A row of the table of ranks."""
    spectrum = spectrum_of(np.diag(values))
    return {"run": label} | {name: tell(spectrum) for name, tell in RANKS.items()}
