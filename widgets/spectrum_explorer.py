"""Singular values of an update over run × layer × step, from runs, recorded events or a live model.

Values come from `analysis.snapshot`, pictures from `figures.spectra`; this ties them to three controls.
"""

import bisect
from collections.abc import Iterable, Mapping
from typing import Any, cast

import ipywidgets as ipw
import numpy as np

from qtha_lab.analysis import snapshot, spectrum_of
from qtha_lab.compare import reading
from qtha_lab.errors import Refusal
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.spectra import singular_values, spectrum_over_training

from . import look
from .aria import Aria
from .figure_view import FigureView
from .guard import ErrorLine

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
        Refusal: If nothing has a record; runs keep one where `spectrum_every` is above 0.

    Example:
        >>> event = {"kind": "spectrum", "step": 5, "layers": {"0.q": [2.0, 1.0]}}
        >>> explorer = SpectrumExplorer({"lora": [event]})
        >>> explorer.code
        "singular_values({'lora': [2.0, 1.0]}, of='ΔW of 0.q, step 5')"
    """

    def __init__(self, sources: Mapping[str, Any]):
        records = {label: reading.spectra(_events(source)) for label, source in sources.items()}
        self.records = {label: layers for label, layers in records.items() if layers}
        if not self.records:
            rule = "set spectrum_every above 0"
            raise Refusal(f"none of {len(records)} sources holds spectra: {rule}")
        self.run = ipw.Dropdown(description="run", options=list(self.records))
        self.layer = ipw.Dropdown(description="layer", layout={"width": "380px"})
        self.leading = ipw.Dropdown(
            description="leading", options=LEADING, layout={"width": "170px"}
        )
        self.step = ipw.SelectionSlider(description="step", options=[0], layout={"width": "380px"})
        self.ranks = look.text("", "qtha-table")
        self.code_text = look.text("", "qtha-code")
        self._offer_layers()
        self._offer_steps()
        self.error = ErrorLine()
        self.run.observe(self.error.guard(self._change_run), "value")
        self.layer.observe(self.error.guard(self._change_layer), "value")
        for control in (self.step, self.leading):
            control.observe(self.error.guard(lambda _: self.draw_step()), "value")
        self.decay, self.history = FigureView(self._decay()), FigureView(self._history())
        choice = look.row(self.run, self.layer, self.step, self.leading)
        controls = (look.style_sheet(), Aria(), choice, self.error.panel)
        results = (self.ranks, self.decay.panel, self.history.panel, self.code_text)
        self.panel = look.column(*controls, *results, css="qtha-explorer")
        self._show_ranks()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.panel)

    @property
    def _run(self) -> str:
        return cast(str, self.run.value)

    @property
    def _layer(self) -> str:
        return cast(str, self.layer.value)

    @property
    def shown(self) -> dict[str, list[float]]:
        """All singular values, by run: at the step, or the last one before it."""
        layer, step = self._layer, cast(int, self.step.value)
        spectra = {
            label: layers[layer] for label, layers in self.records.items() if layer in layers
        }
        last = {label: bisect.bisect_right(s.steps, step) - 1 for label, s in spectra.items()}
        return {label: spectra[label].values[at] for label, at in last.items() if at >= 0}

    @property
    def code(self) -> str:
        """The line that draws the same without this panel."""
        digits = {
            label: [float(f"{value:.4g}") for value in values]
            for label, values in self._values.items()
        }
        return f"singular_values({digits!r}, of={self._of!r})"

    @property
    def _values(self) -> dict[str, list[float]]:
        """As many of the values shown as are to be drawn."""
        return {label: values[: self.leading.value] for label, values in self.shown.items()}

    @property
    def _of(self) -> str:
        drawn_values = self._values
        cut = any(len(values) > len(drawn_values[label]) for label, values in self.shown.items())
        leading = f", {self.leading.value} leading" if cut else ""
        return f"ΔW of {self.layer.value}, step {self.step.value}{leading}"

    def draw_step(self) -> None:
        """Draw the spectra at the chosen step, one line per run."""
        self.decay.show(self._decay())
        self._show_ranks()

    def _decay(self) -> Figure:
        return singular_values(self._values, of=self._of)

    def _history(self) -> Figure:
        spectrum = self.records[self._run][self._layer]
        of = f"ΔW of {self._layer}, {self._run}"
        return spectrum_over_training(spectrum.steps, spectrum.values, of=of)

    def _show_ranks(self) -> None:
        """Show the ranks at the step, and the line that draws it."""
        self.ranks.value = look.table([_ranks(*item) for item in self.shown.items()])
        self.code_text.value = look.code(self.code)

    def _change_run(self, _change) -> None:
        self._offer_layers()
        self._change_layer()

    def _change_layer(self, _change=None) -> None:
        self._offer_steps()
        self.history.show(self._history())
        self.draw_step()

    def _offer_layers(self) -> None:
        layers, layer = list(self.records[self._run]), self.layer.value
        if list(self.layer.options) != layers:
            self.layer.options = layers
        self.layer.value = layer if layer in layers else layers[0]

    def _offer_steps(self) -> None:
        """The steps of the record; the slider stays where it was, or goes to the end."""
        steps, step = self.records[self._run][self._layer].steps, self.step.value
        if list(self.step.options) != steps:
            self.step.options = steps
            self.step.value = step if step in steps and step != 0 else steps[-1]


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
    return {"run": label} | {name: text(spectrum) for name, text in RANKS.items()}
