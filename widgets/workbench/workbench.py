"""The workbench: describe a comparison or sweep, preview its cost, launch and monitor it.

Ties the other panels together. The headless equivalents are `Comparison`, `Sweep`, `preview`,
`launch`, `attach` and `compare`.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

import ipywidgets as ipw

from qtha_lab.core import fault_log as faults
from qtha_lab.core.errors import Refusal
from qtha_lab.core.plugin_loading import load_plugins
from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.runs import fork_server as warm
from qtha_lab.runs import run as runs_
from qtha_lab.studies import comparison as compare
from qtha_lab.studies import sweep
from qtha_lab.studies.sweep.folder import list_sweeps

from ..kit import styles
from ..kit.aria import Aria
from ..kit.display import Shown
from ..kit.fold import Fold, reveal
from ..kit.guard import guarded
from ..kit.loop import Background, in_thread, with_libraries
from . import static as still
from .all_runs import Desk
from .banner import Banner, Fault
from .comparison_watch import ComparisonWatch
from .engine_costs import EngineCosts
from .forecasts import engines_of, previews, sentences, summary
from .history import Group, groups, in_order
from .launching import launch_all
from .overview import Overview
from .save_notebook import SaveNotebook
from .setup import Setup
from .sweep_watch import SweepWatch
from .watch import Watch

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.4
RECENT = 200  # newest runs that are searched for the latest comparison
CODE = {"Show as Python": "to_python", "Show as YAML": "to_yaml", "Show as a command": "to_command"}


class Workbench(Shown):
    """The workbench panel, for the last line of a cell, alone or in any box.

    Args:
        comparison: Initial comparison or sweep; default the last launched one, else QTHA and LoRA
            on tiny/qa.
        attach: Runs, or their ids, to show; default the latest comparison in the runs folder.

    Example:
        >>> Workbench()  # doctest: +SKIP
    """

    def __init__(
        self, comparison: Comparison | Sweep | None = None, attach: Iterable | None = None
    ):
        super().__init__()
        warm.prepare()  # while the user fills in the form
        self.add_class("qtha-workbench")
        self.aria = Aria()
        self.banner = Banner(self.go, self.aria.say)
        self.background = Background(self.refuse)
        self.overview, self.watch = Overview(), Watch(self.background)
        self.watch.list.announce = self.aria.say
        self.sweep = SweepWatch(background=self.background, announce=self.aria.say)
        self.staged = ComparisonWatch(background=self.background, announce=self.aria.say)
        self.desk = Desk(self.refuse, self.aria.say)
        self.code = [styles.text("", "qtha-code") for _ in CODE]
        self.summary = styles.text("", "qtha-text").add_class("qtha-summary")
        group = self._group(attach)
        start = comparison or (latest(group) if attach is None else None) or group
        start, missing = with_plugins(start or first_comparison())
        self.setup = Setup(start, self.changed, self.refuse, self.go)
        methods = self.setup.methods
        self.engines = EngineCosts(
            *(guarded(m, self.refuse) for m in (methods.run_on, methods.twin_on))
        )
        self.children = self._laid_out()
        self.say(missing or (f"Showing the runs of {group.title}." if group else ""))
        self.watch.show(group.runs if group else ())
        self.desk.ticked = tuple(run.id for run in self.watch.runs)
        self.desk.observe(guarded(self._show_ticked, self.refuse), "ticked")
        self.staged.observe(guarded(self._show_staged, self.refuse), "runs")
        confirming = guarded(lambda change: self._show_launched(change["new"]), self.refuse)
        self.sweep.observe(confirming, "confirming")
        self.changed()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(still.note(), raw=True)
        display(self._repr_mimebundle_(), raw=True)

    def still(self) -> dict[str, str]:
        """Return the table of the runs, and the comparison."""
        return still.bundle(self.setup.comparison(), self.watch.runs)

    def say(self, sentence: str) -> None:
        """Show a sentence under the buttons."""
        self.banner.say(sentence)

    def refuse(self, error: Exception) -> None:
        """Show an error: all invalid entries with links, or one sentence.

        An unexpected exception names the file with its traceback.
        """
        sentence = faults.sentence(error)
        if not isinstance(error, Refusal):
            return self.banner.refuse([Fault(sentence)])
        of_entries = self.setup.faults()
        entered = sentence in [fault.sentence for fault in of_entries]
        self.banner.refuse(of_entries if entered else [self.setup.fault(sentence)])

    def go(self, control: ipw.DOMWidget) -> None:
        """Open the folds around a control, and focus the control."""
        reveal(control, self)
        control.focus()

    def view(self, runs: Iterable[str]) -> None:
        """Open the views of runs and scroll to them."""
        self.desk.show(runs)
        self.aria.bring("qtha-views-drawer")

    def changed(self) -> None:
        """Renew the preview and the code after a pause in the entries."""
        self.background.start("preview", self.refresh)

    async def refresh(self) -> None:
        """Compute the cost of the comparison off the event loop, and show it."""
        self.overview.waiting()
        self.summary.add_class("qtha-stale")
        self.setup.sweep.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        described = self.setup.description()
        if self.banner.refusing:
            self.say("")
        self.start.description = "Launch sweep" if isinstance(described, Sweep) else "Launch"
        for text, method in zip(self.code, CODE.values(), strict=True):
            text.value = styles.code(getattr(described, method)())
        costs = await in_thread(previews, described)
        self.overview.show(costs)
        self.summary.value = styles.lines([summary(described, costs)])
        self.summary.remove_class("qtha-stale")
        self.setup.sweep.show(await with_libraries(sentences, described, costs))
        self.engines.show(await in_thread(engines_of, described, costs))
        self.setup.methods.offer()  # with methods of new plugins

    async def launch(self) -> None:
        """Launch all runs of the comparison, or the sweep; none if any run is refused."""
        described = self.setup.description()
        self.say("Checking …")
        if isinstance(described, Sweep):
            return await self._launch_sweep(described)
        if described.in_stages:
            return await self._launch_stages(described)
        name = time.strftime("workbench %Y-%m-%d %H:%M:%S")
        started = await with_libraries(launch_all, described, name)
        self._show_launched([run.id for run in started])

    def _show_launched(self, ids: Iterable[str]) -> None:
        """Show the number of launched runs, and follow them."""
        ids = tuple(ids)
        runs = "1 run; it goes" if len(ids) == 1 else f"{len(ids)} runs; they go"
        log.info("launched %d runs", len(ids))
        self.say(f"Launched {runs} on if this page is closed.")
        self.desk.ticked = ids

    async def _launch_sweep(self, described: Sweep) -> None:
        trials = await with_libraries(sweep.launch, described)
        log.info("launched sweep %s", trials.folder.path.name)
        self.say("Launched the sweep; it goes on if this page is closed.")
        self.sweep.list_again()
        self.sweep.sweep = trials.folder.path.name

    async def _launch_stages(self, described: Comparison) -> None:
        scheduled = await with_libraries(compare.launch, described)
        log.info("launched comparison %s", scheduled.folder.path.name)
        self.say("Launched the comparison, its trials first; it goes on if this page is closed.")
        self.staged.list_again()
        self.staged.comparison = scheduled.folder.path.name

    def _show_staged(self, change) -> None:
        """Follow the runs of a staged comparison as they start."""
        if change["new"]:
            self.desk.ticked = change["new"]

    def _group(self, attach: Iterable | None) -> Group | None:
        """Return the runs to attach, or the latest comparison."""
        if attach is None:
            recent = [run for run in runs_.list_runs()[:RECENT] if not run.record.origin]
            newest = next(iter(groups(recent)), None)
            return Group(tuple(in_order(newest.runs))) if newest else None
        attached = [runs_.attach(run) if isinstance(run, str) else run for run in attach]
        readable = tuple(run for run in attached if run.unreadable is None)
        return Group(readable) if readable else None

    def _show_ticked(self, _change) -> None:
        """Follow the selected runs of any launch; report unreadable ones with the reason."""
        here = {run.id: run for run in self.watch.runs}
        runs = [here.get(name) or runs_.attach(name) for name in self.desk.ticked]
        self.watch.show([run for run in runs if not run.unreadable])
        for run in filter(lambda run: run.unreadable, runs):
            self.say(f"{run.id}: unreadable: {run.unreadable}")

    def _laid_out(self) -> list[ipw.Widget]:
        self.start = ipw.Button(description="Launch", icon="rocket", button_style="primary")
        self.start.on_click(lambda _: self.background.start_once("launch", self.launch))
        see = ipw.Button(description="Views", icon="line-chart", tooltip="Views of the runs shown")
        see.on_click(lambda _: self.view(run.id for run in self.watch.runs))
        self.sweep.see.on_click(lambda _: self.view(self.sweep.runs))
        self.sweep.see.layout.display = ""
        code = [Fold(title, part) for title, part in zip(CODE, self.code, strict=True)]
        left = styles.column(self.setup.panel, flex="1 1 560px", min_width="0")
        notebook = SaveNotebook(self.setup.description)
        right = styles.column(
            self.overview.panel,
            self.engines.panel,
            *code,
            notebook,
            flex="1 1 420px",
            min_width="0",
        )
        buttons = styles.row(
            self.start, self.summary, self.watch.stop_all, self.watch.resume_all, see
        )
        top = styles.row(left, right, css="qtha-top")
        launch = styles.column(buttons, self.banner, css="qtha-launch")
        lower = [self.sweep, self.staged, self.watch.panel, self.desk]
        return [styles.style_sheet(), self.aria, top, launch, *lower]


def first_comparison() -> Comparison:
    """Return QTHA at its default size, the largest LoRA below, and a reference LoRA.

    The second is the largest LoRA that is not larger than QTHA; the reference has r = 8. LoRA of r
    = 1 trains 12.5 % of r = 8 and QTHA at most 24 %, so r = 2 is always larger.
    """
    return Comparison(methods=["qtha", "lora(r=1)", "lora"])


def with_plugins(start: Comparison | Sweep | Group) -> tuple[Comparison | Sweep, str]:
    """Import the plugins of an initial description, and return it with an empty message.

    If a plugin is missing or not trusted, return the default comparison and a sentence that states
    the reason.
    """
    try:
        start = start.trusted if isinstance(start, Group) else start
        load_plugins(start.plugins)
    except Refusal as reason:
        log.warning("the form does not start with what was launched last: %s", reason)
        return first_comparison(), f"The form cannot start with what it was to: {reason}"
    return start, ""


def latest(group: Group | None) -> Sweep | None:
    """Return the last launched sweep, if no run of the group is newer."""
    folders = list_sweeps()
    if not folders or (group and max(run.id for run in group.runs) > folders[0].path.name):
        return None
    try:
        return folders[0].trusted
    except Refusal as reason:
        log.warning("sweep %s is not shown: %s", folders[0].path.name, reason)
        return None
