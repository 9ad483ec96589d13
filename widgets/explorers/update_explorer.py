"""An explorer of the updates of several runs, live during training: singular values and ranks.

Reads the "spectrum" events of runs (the linear path of each update), recorded events, or models.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import traitlets

from qtha_lab.analysis import Spectrum, snapshot
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory.events import history
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.spectra import spectra
from qtha_lab.figures.spectrum_over_training import spectrum_over_training
from qtha_lab.figures.updates_side_by_side import updates_side_by_side
from qtha_lab.runs import run
from qtha_lab.studies.comparison import found_runs

from ..kit import boxes
from ..runs.live_model import Follower
from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

RANKS = {
    "rank": lambda s: str(s.numerical_rank()),
    "effective": lambda s: f"{s.effective_rank:.2f}",
    "stable": lambda s: f"{s.stable_rank:.2f}",
    "‖ΔW‖": lambda s: f"{s.norm:.3g}",
}
LEADING = (("16", 16), ("64", 64), ("all", None))
RULE = "Launch with spectrum_every above 0."
Records = dict[str, found_runs.SpectrumHistory]


class UpdateModel(Follower, ExplorerModel):
    """Updates of several runs by layer and step.

    `await explorer.follow()` returns when every run has ended.

    Args:
        sources: Runs, or a mapping from labels to sources. A source is a run, events as in
            `events.jsonl`, or a model with an adapter in its present state. Up to four runs are
            readable side by side.

    Raises:
        Refusal: If there is no source, or no source has a record and no live run can add one.

    Example:
        >>> event = {"kind": "spectrum", "step": 5, "layers": {"0.q": [2.0, 1.0]}}
        >>> explorer = UpdateModel({"lora": [event]})
        >>> explorer.code.splitlines()[-1]
        "spectra({'lora': [2.0, 1.0]}, of='the linear path of 0.q, step 5')"
    """

    STATE = ("runs", "layer", "step", "leading", "history")
    runs = traitlets.List()
    progress = traitlets.List(traitlets.Unicode())
    """The progress of each run, in words."""
    layer, step, leading = Choice(), Choice(slider=True), Choice(LEADING)
    history = Choice(label="history of")

    def __init__(self, sources: Mapping[str, Any] | Iterable):
        pairs = sources.items() if isinstance(sources, Mapping) else [("", run) for run in sources]
        named = [(run.id if _is_run(run) else label, label, run) for label, run in pairs]
        self.sources = {key: source for key, _, source in named}
        self.labels = {key: label for key, label, _ in named}
        self.events = {key: list(_events(s)) for key, s in self.sources.items() if not _is_run(s)}
        self.records = {key: found_runs.spectra(events) for key, events in self.events.items()}
        if not self.sources:
            raise Refusal("The explorer has no run.")
        self._follow_all()
        self.catch_up()
        if not self.live_runs and not any(self.records.values()):
            raise Refusal(f"No source of {len(self.sources)} has spectra. {RULE}")
        super().__init__({"runs": list(self.sources), "leading": 16})

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *sources: Any) -> Self:
        """Create an explorer in a saved state; runs are found by their ids."""
        found = sources or [[run.load_run(key) for key in state["runs"]]]
        return super().from_state(state, *found)

    # ---- recorded spectra

    def spectra(self) -> dict[str, Records]:
        """Return all spectra recorded so far, by label and layer."""
        return {self._label(key): self.records.get(key, {}) for key in self.runs}

    def histories(self, layer: str | None) -> dict[str, tuple[list[int], list[list[float]]]]:
        """Return steps and singular values of each run at a layer."""
        records = {label: layers.get(layer or "") for label, layers in self.spectra().items()}
        return {label: (s.steps, s.values) for label, s in records.items() if s}

    def at(self, layer: str | None, step: int) -> dict[str, list[float]]:
        """Return each run's singular values at a step, or at its last earlier record."""
        records = self.histories(layer).items()
        last = {label: bisect.bisect_right(steps, step) - 1 for label, (steps, _) in records}
        return {label: values[last[label]] for label, (_, values) in records if last[label] >= 0}

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Add events; the newest step stays the newest."""
        newest = self.good and self.step == self.offers("step")[-1]
        for key, events in news.items():
            self.events[key] = history([*self.events.get(key, []), *events])
            self.records[key] = found_runs.spectra(self.events[key])
        if self.good and any(e["kind"] == "spectrum" for events in news.values() for e in events):
            with self.hold_trait_notifications():
                if newest and self.layer:
                    self.step = self.offers("step")[-1]
            self.redraw()

    def look_at(self, statuses: dict[str, Any]) -> None:
        """Record the progress of each run."""
        lines = [
            f"{self._label(k)}: {s.state}, step {s.step} of {s.steps}{self._skipped(k, s.step)}"
            for k, s in statuses.items()
        ]
        ended = all(status.ended for status in statuses.values())
        if ended and not any(self.records.values()):
            lines.append(f"No run holds spectra. {RULE}")
        self.progress = lines

    def _skipped(self, key: str, step: int) -> str:
        """Return the number of due spectra before a step that were skipped, in words."""
        every = self.sources[key].experiment.training.spectrum_every
        recorded = {s for layer in self.records.get(key, {}).values() for s in layer.steps}
        due = range(every, step, every) if every and recorded else ()
        count = len(set(due) - recorded)
        why = "to spend at most 2 % of the training time"
        return f"; {count} of {len(due)} spectra skipped {why}" if count else ""

    # ---- the explorer

    def offers(self, name: str) -> Sequence:
        layers = [layer for layers in self.spectra().values() for layer in layers]
        if name == "layer":
            return list(dict.fromkeys(layers))
        if name == "step":
            of_layer = self.histories(self.layer).values()
            return sorted({step for steps, _ in of_layer for step in steps}) or [0]
        if name == "leading":
            return super().offers(name)
        return [("all runs", ""), *((self._label(key), key) for key in self.runs)]

    def usual(self, name: str) -> Any:
        """Return the first option, or for the step the last one."""
        return self.offers(name)[-1] if name == "step" else super().usual(name)

    def prepare(self) -> None:
        """Attach runs that are known only by their id."""
        if not self.runs:
            raise Refusal("runs is empty.")
        if new := [key for key in self.runs if key not in self.sources]:
            self.sources |= {key: run.load_run(key) for key in new}
            self._follow_all()
            self.catch_up()

    def compute(self, state: SimpleNamespace) -> Drawing:
        of = f"the linear path of {state.layer or 'any layer'}"
        values = self.at(state.layer, state.step)
        leading = {label: row[: state.leading] for label, row in values.items()}
        cut = any(len(row) > len(leading[label]) for label, row in values.items())
        of_step = f"{of}, step {state.step}" + (f", {state.leading} leading" if cut else "")
        digits = {label: [float(f"{v:.4g}") for v in row] for label, row in leading.items()}
        figures = {
            "history": self._history(state, of),
            "decay": spectra(leading, of=of_step),
        }
        rows = [_ranks(label, row) for label, row in values.items()]
        return Drawing(figures, rows, f"spectra({digits!r}, of={of_step!r})")

    def _history(self, state: SimpleNamespace, of: str) -> Figure:
        """Draw lines of all runs side by side, or one run's heat map."""
        histories = self.histories(state.layer)
        label = self._label(state.history) if state.history else ""
        if label in histories:
            return spectrum_over_training(*histories[label], of=f"{of}, {label}")
        leading = {
            label: (steps, [row[: state.leading] for row in values])
            for label, (steps, values) in histories.items()
        }
        return updates_side_by_side(leading, of, state.step)

    def _follow_all(self) -> None:
        """Follow the sources that are runs, and read their events from the beginning."""
        self.follow_runs(s for s in self.sources.values() if _is_run(s))
        self.events |= {run.id: [] for run in self.live_runs}

    def _label(self, key: str) -> str:
        """Return the label of a source: the caller's, or its method.

        The seed is added if another run has the same method label.
        """
        if self.labels.get(key):
            return self.labels[key]
        experiment = self.sources[key].experiment
        label, seed = experiment.method.label, experiment.seed
        others = [
            s.experiment.method.label for k, s in self.sources.items() if k != key and _is_run(s)
        ]
        return f"{label} seed {seed}" if label in others else label


class UpdateExplorer(Explorer, UpdateModel):
    """Panel of the weight updates of runs by layer and step."""

    ROWS = (("layer", "step", "leading", "history"),)

    def __init__(self, *sources: Any):
        super().__init__(*sources)
        if self.live_runs:
            self.background.start("follow", self.follow)

    def below_controls(self) -> list[Any]:
        line = boxes.text(boxes.lines(self.progress))
        self.observe(lambda _: line.set_trait("value", boxes.lines(self.progress)), "progress")
        return [line]


SpectrumExplorer = UpdateExplorer
"""The name that it had while it was for recorded spectra only."""


def _is_run(source: Any) -> bool:
    return hasattr(source, "status")


def _events(source: Any) -> Iterable[dict]:
    """Return the events of a list, a history, or a model's present state."""
    if hasattr(source, "valid_events"):
        return source.valid_events()
    if hasattr(source, "named_modules"):
        return [{"kind": "spectrum", "step": 0, **snapshot(source)}]
    return source


def _ranks(label: str, values: list[float]) -> dict[str, str]:
    """Return a row of the table of ranks."""
    array = np.asarray(values)
    spectrum = Spectrum(array, (len(array), len(array)), float(np.linalg.norm(array)))
    return {"run": label} | {name: text(spectrum) for name, text in RANKS.items()}
