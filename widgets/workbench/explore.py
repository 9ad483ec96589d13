"""The pane Explore: circuit, operators, spectra and engines of a ticked run."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.runs.run import Run, load_run

from ..kit import boxes
from ..kit.loop import Background, with_libraries
from .history import local_time, run_title

EMPTY = "Tick a run in the table below to explore its circuit, operators and spectra."
MOST_WEIGHTS = 6  # matrices of a run in the explorer of operators
MOST_RUNS = 12  # ticked runs that are offered
CIRCUIT, ENGINES = "Circuit", "Engines of the circuit"
SPECTRA, OPERATOR = "Spectra of the update", "Operator (MPO) of an update"
OF_A_RUN = (SPECTRA, OPERATOR)


class Explore(ipw.VBox):
    """Explorers of a run, created when chosen; `runs` holds the ids of the ticked ones.

    Opens on the first run with a circuit. A run without a circuit opens on its spectra.
    """

    runs = traitlets.Tuple()

    def __init__(self) -> None:
        self.error = boxes.ErrorText()
        self.background = Background(self.error.report)
        self.makers: dict[str, Callable[[], Any]] = {
            CIRCUIT: self._circuit,
            SPECTRA: self._spectra,
            OPERATOR: self._operator,
            ENGINES: self._engines,
        }
        self.choice = boxes.styled(ipw.Dropdown, options=list(self.makers), description="explore")
        self.run = boxes.styled(ipw.Dropdown, description="run")
        self.offered: tuple[str, ...] = ()
        self.of, self.place = boxes.text(), boxes.column()
        row = boxes.row([self.choice, self.run, self.of])
        super().__init__([row, self.error.panel, self.place], layout=boxes.layout())
        boxes.classed(self, "qtha-column")
        for control in (self.choice, self.run):
            control.observe(self.error.guard(lambda _: self.draw()), "value")
        self.observe(self.error.guard(lambda _: self.draw()), "runs")

    def draw(self) -> None:
        """Create the chosen explorer of the chosen run, in the background."""
        self.background.start("draw", self._draw)

    async def _draw(self) -> None:
        self.error.show("")
        self.of.value = boxes.lines(["Loading …"])
        await self._offer()
        run = load_run(self.run.value) if self.run.value else None
        title = [run_title(run)] if run and not boxes.is_shown(self.run) else []
        absent = await with_libraries(without_circuit, run) if run else ""
        lines = boxes.lines([*title, absent] if run else [EMPTY])
        offered = tuple(OF_A_RUN if absent else self.makers)
        before = self.choice.value
        boxes.show_options(self.choice, offered)
        if self.choice.value != before:
            return  # the change of the choice draws
        if run is None and self.choice.value in OF_A_RUN:
            self.of.value = lines
            return boxes.put(self.place, [])
        self.of.value = lines + boxes.lines([f" Computing: {self.choice.value} …"])
        explorers: list[Any] = []
        try:
            explorers = [await with_libraries(self.makers[str(self.choice.value)])]
        finally:
            self.of.value = lines
            boxes.put(self.place, explorers)

    async def _offer(self) -> None:
        """List the ticked runs as choices; select the first with a circuit."""
        ids = self.runs[:MOST_RUNS]
        if ids == self.offered:
            return
        runs = [load_run(name) for name in ids]
        first = (run.id for run in runs if len(runs) > 1 and not without_circuit(run))
        found = await with_libraries(next, first, "")
        self.offered = ids
        boxes.show_options(self.run, titles(runs))
        self.run.value = found or next(iter(ids), None)
        boxes.show(self.run, len(ids) > 1)

    def _options(self) -> dict[str, Any]:
        """Return the settings of the run's method with their defaults."""
        from qtha_lab.experiment.method_list import method_entry

        if not self.run.value:
            return {}
        choice = load_run(self.run.value).experiment.method
        defaults = {name: s.default for name, s in method_entry(choice.name).settings.items()}
        return defaults | choice.options

    def _circuit(self) -> Any:
        from ..explorers.circuit_explorer import MOST, CircuitExplorer

        options = self._options()
        return CircuitExplorer(
            str(options.get("ansatz", "qtha")).partition("(")[0],
            n_qubits=min(MOST, int(options.get("n_qubits") or options.get("r") or 4)),
            n_layers=min(MOST, int(options.get("n_layers") or 1)),
        )

    def _engines(self) -> Any:
        from ..explorers.engine_explorer import EngineExplorer

        options = self._options()
        return EngineExplorer(
            str(options.get("ansatz", "qtha")).partition("(")[0],
            n_qubits=int(options.get("n_qubits") or options.get("r") or 4),
            n_layers=int(options.get("n_layers") or 2),
        )

    def _spectra(self) -> Any:
        from ..explorers.update_explorer import UpdateExplorer

        return UpdateExplorer([load_run(name) for name in self.runs[:4]])

    def _operator(self) -> Any:
        from ..explorers.mpo_explorer import MpoExplorer

        return MpoExplorer(update_matrices([str(self.run.value)]))


def titles(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return short titles of runs, each with the run's id."""
    short = short_names([run.experiment.method.label for run in runs])
    return [
        (
            f"{shown(short[run.experiment.method.label])} · seed {run.experiment.seed} · "
            f"{local_time(run.id)}",
            run.id,
        )
        for run in runs
    ]


def without_circuit(run: Run) -> str:
    """Return the sentence that a run's adapter has no circuit; "" if it has one."""
    from qtha_lab.experiment.plan import resolve

    trusted(run.path, run.experiment)
    if resolve(run.experiment).circuits:
        return ""
    return f"{shown(run.experiment.method.label)} has no circuit."


def update_matrices(run_ids: Sequence[str]) -> dict[str, Any]:
    """Return the update of some layers of the first run as matrices, by layer.

    Of an update with a circuit, the linear path is returned, and named so.

    Raises:
        Refusal: If no layer has a linear path.
    """
    from qtha_lab.analysis.updates.update import updates_of

    run = load_run(run_ids[0])
    paths = (
        (update.name if update.is_linear else f"{update.name} (linear path)", path)
        for update in updates_of(run.load().model)
        if (path := update.linear_path()) is not None
    )
    matrices = {name: path.float() for name, path in itertools.islice(paths, MOST_WEIGHTS)}
    if not matrices:
        raise Refusal(
            f"The run must have a linear path, got {run_title(run)} without one. Explore its "
            "spectra or its circuit."
        )
    return matrices
