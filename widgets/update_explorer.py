"""The updates of several runs side by side, live while they train: every layer, every recorded step.

Reads the "spectrum" events of run directories (the linear path of each update); starts and stops nothing.
"""

import asyncio
from collections.abc import Iterable
from typing import cast

import ipywidgets as ipw

from qtha_lab.compare import reading
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.side_by_side import updates_side_by_side
from qtha_lab.figures.spectra import singular_values
from qtha_lab.rundir.events import history

from . import look
from .aria import Aria
from .figure_view import FigureView
from .guard import ErrorLine
from .live import TICK_SECONDS
from .loop import Background


class UpdateExplorer:
    """Shows itself and follows its runs; `await explorer.follow()` waits for their end.

    A run is anything with `id`, `experiment`, `events(offset)` and `status()`, launched with
    `spectrum_every` above 0. Without the panel the same is

        updates_side_by_side(explorer.histories("…q_proj"))

    Args:
        runs: At most four are readable beside each other.
    """

    def __init__(self, runs: Iterable):
        self.runs = list(runs)
        self.events: dict[str, list[dict]] = {run.id: [] for run in self.runs}
        self.offsets = dict.fromkeys(self.events, 0)
        self.layer = ipw.Dropdown(description="layer", layout={"width": "400px"})
        self.step = ipw.SelectionSlider(
            description="step", options=[0], continuous_update=True, layout={"width": "420px"}
        )
        self.state = look.text("", "qtha-text")
        self.error, self.offering = ErrorLine(), False
        self.background = Background(self.error.report)
        for run in self.runs:
            self.take(run.id, self.offsets[run.id], *run.events(0))
        self._offer()
        self.sides, self.decay = FigureView(self._sides()), FigureView(self._decay())
        for control in (self.layer, self.step):
            control.observe(self.error.guard(self._change), "value")
        choice = look.row(self.layer, self.step)
        controls = (look.style_sheet(), Aria(), choice, self.state, self.error.panel)
        self.panel = look.column(*controls, self.sides.panel, self.decay.panel)
        self.panel.add_class("qtha-update-explorer")

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.panel)
        self.background.start("follow", self.follow)

    def take(self, run_id: str, offset: int, news: list[dict], ahead: int) -> bool:
        """Take in new events of a run, unless they were taken in already.

        Args:
            run_id: Whose they are.
            offset: Where in the run's file they begin.
            news: The events.
            ahead: Where they end.

        Returns:
            Whether spectra are among them.
        """
        if self.offsets[run_id] != offset:
            return False
        self.events[run_id] = history([*self.events[run_id], *news])
        self.offsets[run_id] = ahead
        return any(event["kind"] == "spectrum" for event in news)

    def spectra(self) -> dict[str, dict[str, reading.Spectrum]]:
        """All that was recorded so far, by label and layer."""
        return {self._label(run): reading.spectra(self.events[run.id]) for run in self.runs}

    def histories(self, layer: str) -> dict[str, tuple[list[int], list[list[float]]]]:
        """Steps and singular values of each run at a layer."""
        spectra = {
            label: layers[layer] for label, layers in self.spectra().items() if layer in layers
        }
        return {label: (spectrum.steps, spectrum.values) for label, spectrum in spectra.items()}

    def at(self, layer: str, step: int) -> dict[str, list[float]]:
        """Each run's singular values at a step, or at its last record before it."""
        values_at = {}
        for label, (steps, values) in self.histories(layer).items():
            records = [row for s, row in zip(steps, values, strict=True) if s <= step]
            if records:
                values_at[label] = records[-1]
        return values_at

    async def tick(self) -> None:
        """Read what is new of every run, off the loop, and draw it."""
        new = False
        for run in self.runs:
            offset = self.offsets[run.id]
            new |= self.take(run.id, offset, *await asyncio.to_thread(run.events, offset))
        if new:
            self._offer()
            self.draw()

    async def follow(self) -> None:
        """Draw at most twice a second, until every run has ended."""
        while True:
            statuses = [await asyncio.to_thread(run.status) for run in self.runs]
            await self.tick()
            labels = map(self._label, self.runs)
            self.state.value = look.lines(
                f"{label}: {status.state}, step {status.step} of {status.steps}"
                for label, status in zip(labels, statuses, strict=True)
            )
            if all(status.ended for status in statuses):
                return
            await asyncio.sleep(TICK_SECONDS)

    def draw(self) -> None:
        """Draw the chosen layer, and its chosen step."""
        self.sides.show(self._sides())
        self.decay.show(self._decay())

    @property
    def _layer(self) -> str:
        """The chosen layer; "" while none is recorded."""
        return cast(str, self.layer.value or "")

    def _change(self, _) -> None:
        if not self.offering:
            self.draw()

    def _label(self, run) -> str:
        label, seed = run.experiment.method.label, run.experiment.seed
        runs = [r for r in self.runs if r.experiment.method.label == label]
        return label if len(runs) == 1 else f"{label} seed {seed}"

    def _sides(self) -> Figure:
        of = f"the linear path of {self._layer or 'any layer'}"
        return updates_side_by_side(self.histories(self._layer), of, self.step.value)

    def _decay(self) -> Figure:
        step = cast(int, self.step.value)
        return singular_values(self.at(self._layer, step), of=f"the linear path at step {step}")

    def _offer(self) -> None:
        """Layers and steps recorded so far; a slider that was at the newest step stays there."""
        spectra = [s for layers in self.spectra().values() for s in layers.values()]
        layers = list(dict.fromkeys(spectrum.layer for spectrum in spectra))
        steps = sorted({step for spectrum in spectra for step in spectrum.steps}) or [0]
        newest = self.step.value == self.step.options[-1]
        layer, step = self.layer.value, self.step.value
        self.offering = True  # what is set here must not draw
        if tuple(layers) != tuple(self.layer.options):
            self.layer.options = layers
            self.layer.value = layer if layer in layers else next(iter(layers), None)
        if tuple(steps) != tuple(self.step.options):
            self.step.options = steps
            self.step.value = steps[-1] if newest or step not in steps else step
        self.offering = False
