"""The workbench: describe a comparison or sweep, preview its cost, launch, watch and compare.

Ties the other panels together. The headless equivalents are `Comparison`, `Sweep`, `preview`,
`launch`, `attach`, `explain` and `compare`.
"""

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core import fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.next_steps import NextStep
from qtha_lab.studies.launch import launch
from qtha_lab.studies.study import Study

from ..kit import boxes
from ..kit.boxes import guarded
from ..kit.fold import Fold
from ..kit.loop import Background, in_thread, with_libraries
from ..kit.static_output import StaticOutput
from ..runs.runs_table import RunsTable
from . import static
from .banner import Banner, Fault, in_page_terms
from .costs import Costs
from .data_view import DataView
from .forecasts import sentences, sizes_of
from .header import Header
from .history import (
    add_runs,
    earlier,
    equal_size,
    group_of,
    latest,
    recent_groups,
    run_named,
    with_plugins,
)
from .panes import MOST, WATCH, Panes
from .save_notebook import SaveNotebook
from .setup import PRESET, Setup
from .study_watch import ComparisonWatch, StudyWatch
from .sweep_watch import SweepWatch
from .systems import COMMANDS, Systems
from .verdict import VerdictPane
from .watch import Watch

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.4
FOCUS_SECONDS = 0.4  # until the page has drawn the fields of a fold
NEWS_SECONDS = 12.0  # until a message of success disappears
OF_COMMAND = "The findings of this command stand in its output, under Watch."
CODE = {"Show as Python": "to_python", "Show as YAML": "to_yaml", "Show as a command": "to_command"}


class Workbench(StaticOutput, ipw.VBox):
    """The workbench, for the last line of a cell, alone or in any box.

    `bench.setup.steps.value = "1e3"` sets an entry, `bench.launch.click()` launches.

    Args:
        comparison: Initial comparison or sweep; default the last launched one, else QTHA and LoRA
            of equal size on tiny/qa.
        attach: Runs, or their ids, to show; default the latest comparison in the runs folder.

    Example:
        >>> Workbench()  # doctest: +SKIP
    """

    def __init__(
        self, comparison: Comparison | Sweep | None = None, attach: Iterable | None = None
    ):
        super().__init__(layout=boxes.layout())
        boxes.classed(self, "qtha-page", "qtha-workbench")
        self.aria, self.header = boxes.Announcer(), Header()
        self.banner = Banner(self.go, self.aria.say)
        self.background = Background(self.refuse)
        self.verdict = VerdictPane(self.launch_step)
        self.costs = Costs(self.header, lambda: self.setup.methods, self.background, self.refuse)
        self.data = DataView()
        self.watch = Watch(self.background, self._renew_verdict, self.header.count)
        self.watch.list.announce = self.aria.say
        self.sweep = SweepWatch(None, self.view, background=self.background, announce=self.aria.say)
        self.staged = ComparisonWatch(background=self.background, announce=self.aria.say)
        self.systems = Systems(
            self.background, self.aria.say, self._show_command, self._show_trained
        )
        self.code = [boxes.text("", "qtha-code") for _ in CODE]
        recent = recent_groups()
        group = group_of(attach, recent)
        last = latest(group) if attach is None else None
        start = comparison or last or group
        start, missing = with_plugins(start or equal_size())
        below = self._below_setup()
        forms = earlier(recent)
        self.setup = Setup(start, self.changed, self.refuse, self.go, below, self.systems, forms)
        self.header.arrange(self.watch.stop_all, self.watch.resume_all)
        self.header.setup.observe(
            lambda change: boxes.flag(self, "qtha-no-setup", not change["new"]), "value"
        )
        self.setup.preset.observe(self._show_launch, "value")
        self.launch = self.header.launch
        self.launch.on_click(lambda _: self.background.start_once("launch", self.start))
        watched = (
            self.sweep,
            self.staged,
            self.systems.panel,
            self.verdict.brief,
            self.watch.panel,
        )
        watch = boxes.column(watched)
        self.panes = Panes(watch, self.verdict, self.refuse)
        results = boxes.column([self.panes.alone_button, self.panes], css="qtha-results")
        self.table = RunsTable(announce=self.aria.say, brief=True)
        self.children = [
            self.aria, self.header, self.banner,
            boxes.styled(ipw.HBox, [self.setup, results], css="qtha-body"),
            boxes.column([self.table], css="qtha-runs-pane"),
        ]  # fmt: skip
        self.say(missing)
        self._tie()
        self.watch.show(group.runs if group else ())
        self.panes.ticked = tuple(run.id for run in self.watch.runs)
        boxes.show(self.sweep, bool(self.sweep.sweep) and (last is not None or not group))
        self.changed()

    def _tie(self) -> None:
        """Connect the panels that share runs."""
        traitlets.link((self.panes, "ticked"), (self.table, "ticked"))
        traitlets.dlink((self.watch.plot, "colors"), (self.table, "colors"))
        traitlets.link((self.watch.plot, "hidden"), (self.table, "hidden"))
        self.panes.observe(guarded(self._show_ticked, self.refuse), "ticked")
        for figure in (self.watch.plot.picture, self.verdict):
            traitlets.link((self.panes, "alone"), (figure, "alone"))
        self.panes.observe(lambda change: boxes.flag(self, "qtha-alone", change["new"]), "alone")
        for panel in (self.staged, self.sweep):
            panel.observe(guarded(self._show_scheduled, self.refuse), "runs")
        confirming = guarded(lambda change: self._show_launched(change["new"]), self.refuse)
        self.sweep.observe(confirming, "confirming")

    def still(self) -> dict[str, str]:
        """Return the finding, the curves, the table of the runs, and the comparison."""
        return static.bundle(self.setup.comparison, self.verdict, self.watch)

    def say(self, sentence: str) -> None:
        """Show a sentence in the banner; "" hides it."""
        self.banner.say(sentence)

    async def say_for_a_while(self, sentence: str) -> None:
        """Show a message of success, and hide it after some seconds."""
        self.say(sentence)
        await asyncio.sleep(NEWS_SECONDS)
        if self.banner.sentence == sentence:
            self.say("")

    def refuse(self, error: Exception) -> None:
        """Show an error: all invalid entries with links, or one sentence.

        An unexpected exception names the file with its traceback.
        """
        sentence = in_page_terms(fault_log.fault_sentence(error))
        if not isinstance(error, Refusal):
            return self.banner.refuse([Fault(sentence)])
        of_entries = self.setup.faults()
        entered = sentence in [fault.sentence for fault in of_entries]
        shown = of_entries if entered else [self.setup.fault(sentence)]
        self.setup.show_faults(shown)
        self.banner.refuse(shown)

    def go(self, place: Any) -> None:
        """Open the folds around a field or a card, and focus it once the page has built it."""
        if self.setup.preset.value in COMMANDS:
            self.setup.preset.value = PRESET
        self.header.setup.value = True
        self.setup.reveal(place)
        self.background.start("focus", lambda: focus_later(place))

    def _show_launch(self, change: Any) -> None:
        """Hide Launch and its cost while the form of a command is shown, which has a button."""
        for part in (self.header.launch, self.header.summary):
            boxes.show(part, change["new"] not in COMMANDS)

    def view(self, runs: Iterable[str]) -> None:
        """Tick runs, and show the views of them, which are below the finding."""
        self.panes.ticked = tuple(runs)[:MOST]
        self.panes.show_views()

    def changed(self) -> None:
        """Renew the preview and the code after a pause in the entries."""
        self.background.start("preview", self.refresh)

    async def refresh(self) -> None:
        """Compute the cost of the comparison off the event loop, and show it."""
        self.costs.wait()
        self.setup.sweep.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        found = self.setup.faults()
        self.setup.show_faults(found)
        if found:
            count = "1 entry" if len(found) == 1 else f"{len(found)} entries"
            self.header.allow(f"Launch is disabled: change {count}.")
        described = self.setup.description()
        self.header.describe(described)
        for text, method in zip(self.code, CODE.values(), strict=True):
            text.value = boxes.code(getattr(described, method)())
        try:
            sizes = await in_thread(sizes_of, described)
            if self.banner.refusing:
                self.say("")
            self.setup.show_faults([])
            self.header.allow("")
            await self.data.show(described)
            costs = await self.costs.time(described, sizes)
        except Refusal:
            self.header.allow("Launch is disabled: the sentence below says why.")
            raise
        self.setup.sweep.show(await with_libraries(sentences, described, costs))
        self.setup.methods.offer()  # with methods of new plugins
        await self.costs.show_memory()
        await self.costs.compare()

    async def start(self) -> None:
        """Launch all runs of the comparison, or the sweep; none if any run is refused."""
        await self._launch(self.setup.description())

    def launch_step(self, step: NextStep) -> None:
        """Resume the runs of a next step, or add its runs to the ticked ones."""
        self.verdict.expect(step, self.watch.runs)
        if step.comparison is None:
            return self.watch.resume(step.resumed)
        self.background.start_once("launch", lambda: self._add(step))

    async def _add(self, step: NextStep) -> None:
        """Launch the runs of a next step under the name of those that it continues."""
        self.say("Checking …")
        if step.name:
            started = await with_libraries(add_runs, step.comparison, step.name)
        else:
            started = list(await with_libraries(launch, step.comparison))
        count = "1 run" if len(started) == 1 else f"{len(started)} runs"
        self._tell(f"Added {count} to the ticked ones: {step.label}.")
        self.panes.select(WATCH)
        self.panes.ticked = (*self.panes.ticked, *(run.id for run in started))[-MOST:]

    async def _launch(self, described: Comparison | Sweep) -> None:
        self.say("Checking …")
        self.panes.select(WATCH)
        study = await with_libraries(launch, described)
        if isinstance(described, Sweep):
            return self._show_study(study, self.sweep, "the sweep")
        if described.tuning or described.rounding:
            return self._show_study(study, self.staged, "the comparison, its trials first")
        self._show_launched([run.id for run in study])

    def _show_launched(self, ids: Iterable[str]) -> None:
        """Show the number of launched runs, and follow them."""
        ids = tuple(ids)
        runs = "1 run; it goes" if len(ids) == 1 else f"{len(ids)} runs; they go"
        log.info("launched %d runs", len(ids))
        self._tell(f"Launched {runs} on if this page is closed.")
        self._show_alone()
        self.panes.ticked = ids
        self._bring()

    def _tell(self, sentence: str) -> None:
        self.say(sentence)
        self.background.start("tell", lambda: self.say_for_a_while(sentence))

    def _show_study(self, study: Study, panel: StudyWatch, what: str) -> None:
        """Show a launched study in its panel."""
        log.info("launched %s %s", panel.noun, study.path.name)
        self._tell(f"Launched {what}; it goes on if this page is closed.")
        self._show_alone(panel)
        panel.list_again()
        setattr(panel, panel.noun, study.path.name)
        self._bring()

    def _show_alone(self, panel: StudyWatch | None = None) -> None:
        """Hide other schedulers and ended commands, and untick the runs before."""
        for other in (self.sweep, self.staged):
            boxes.show(other, boxes.is_shown(other) and other is panel)
        self.systems.make_room()
        self.panes.ticked = ()

    def _show_scheduled(self, change: Any) -> None:
        """Follow the runs of the displayed sweep or staged comparison as they start."""
        panel = self.sweep if change["owner"] is self.sweep else self.staged
        if change["new"] and boxes.is_shown(panel):
            self.panes.ticked = tuple(change["new"])[-MOST:]

    def _show_ticked(self, _change: Any) -> None:
        """Follow the ticked runs of any launch; report unreadable ones with the reason."""
        present = {run.id: run for run in self.watch.runs}
        runs = [run for name in self.panes.ticked if (run := present.get(name) or run_named(name))]
        self.watch.show([run for run in runs if not run.unreadable])
        if not runs:
            self.verdict.empty()
        for run in filter(lambda run: run.unreadable, runs):
            self.say(f"{run.id}: unreadable: {run.unreadable}")

    def _show_command(self) -> None:
        """Show a launched command in place of the runs before."""
        self._show_alone()
        self.watch.show(())
        boxes.show(self.watch.empty, False)
        self.panes.select(WATCH)
        self._bring()

    def _bring(self) -> None:
        """Scroll the page into view; on a narrow one, hide the form above the results."""
        self.header.setup.value = False
        if self.watch.plot.picture is not None:
            self.watch.plot.picture.bring()

    def _show_trained(self, runs: Iterable[Run]) -> None:
        """Show the curves of the runs that a command trains, unless others are ticked."""
        if not self.panes.ticked:
            self.watch.show(runs)
            boxes.show(self.watch.empty, False)

    async def _renew_verdict(self) -> None:
        if self.systems.is_shown and not self.panes.ticked:
            return self.verdict.empty(OF_COMMAND)
        await self.verdict.renew(self.watch.runs)
        self.show_still()

    def _below_setup(self) -> tuple[Any, ...]:
        """Return the cost, the code and the notebook, which follow the form."""
        code = [partial(Fold, title, part) for title, part in zip(CODE, self.code, strict=True)]
        notebook = partial(SaveNotebook, lambda: self.setup.description())
        more = Fold("Python, YAML, command, notebook", *code, notebook)
        return self.data.fold, self.costs.fold, more, self.systems.form_fold


async def focus_later(place: Any) -> None:
    """Focus a field once the page has drawn it."""
    await asyncio.sleep(FOCUS_SECONDS)
    place.focus()
