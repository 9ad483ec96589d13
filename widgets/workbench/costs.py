"""The costs of a comparison on the page: sizes at once, then times as they are measured.

The engines are compared while their fold is open: they load further simulators.
"""

import asyncio
import ctypes
import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from qtha_lab.core.method_styles import shown
from qtha_lab.experiment import Comparison, Sweep

from ..kit import boxes
from ..kit.boxes import OnError, guarded
from ..kit.fold import Fold
from ..kit.loop import Background, in_thread
from .forecasts import engines_of, known, measuring, must_compile, preview_of, summary
from .header import Header
from .methods import MethodCards
from .overview import Overview

log = logging.getLogger(__name__)


def memory_of(pid: int) -> int:
    """Return the bytes of a process; a page that n processes share counts as 1/n where known.

    Example:
        >>> memory_of(os.getpid()) > 2**20
        True
    """
    process = psutil.Process(pid)
    try:
        whole = process.memory_full_info()
    except psutil.AccessDenied as reason:
        log.debug("shared memory counts in full: %s", reason)
        whole = process.memory_info()
    return getattr(whole, "pss", 0) or whole.rss


def return_free_memory() -> None:
    """Return free heap pages to the system, where the C library is glibc.

    Timing the methods allocates some 50 MiB that glibc would keep.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError) as reason:  # another system or C library
        log.debug("this C library does not return free memory: %s", reason)


def memory_sentence() -> str:
    """Return the memory of this process in a sentence."""
    return_free_memory()
    return f"This notebook holds {_mib(memory_of(os.getpid()))} of memory."


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


LIGHTNING = "lightning"


class EngineCosts:
    """A table of engines per method; show `engines.panel`.

    Args:
        run_on: Called with a method's label and its new engine.
        copy_on: Called with a method's label and the engine of a second card of the method.
    """

    def __init__(self, run_on: Callable[[str, str], None], copy_on: Callable[[str, str], None]):
        self.run_on, self.copy_on = run_on, copy_on
        self.box = boxes.column()
        self.panel = boxes.column([boxes.heading("Engines of the circuits"), self.box])
        self.show({})

    def show(self, costs: Mapping[str, list]) -> None:
        """Draw the engines of each method with a circuit, by method label."""
        costs = {label: engines for label, engines in costs.items() if engines}
        boxes.show(self.panel, bool(costs))
        boxes.put(self.box, [self._method(label, engines) for label, engines in costs.items()])

    def _method(self, label: str, engines: list) -> Any:
        table = boxes.html_table([_row(label, cost) for cost in engines])
        absent = [
            f"{cost.engine} does not run here: {cost.reason.rstrip('.')}."
            for cost in engines
            if cost.seconds is None
        ]
        why = [f"auto takes {cost.engine}, {cost.reason}." for cost in engines if cost.automatic]
        words = boxes.text(boxes.lines([*why, *absent]))
        buttons = boxes.row(self._buttons(label, engines))
        return boxes.column([boxes.text(table, "qtha-table"), words, buttons])

    def _buttons(self, label: str, engines: list) -> list[Any]:
        lightning = next((cost for cost in engines if cost.engine == LIGHTNING), None)
        if lightning is None or lightning.seconds is None:
            return []
        tip, off = f"Set engine={LIGHTNING} for {label}", lightning.chosen
        run = boxes.button("Run this on Lightning", icon="bolt", tooltip=tip, disabled=off)
        tip = f"Keep {label} and add it once more with engine={LIGHTNING}"
        second = boxes.button("Add a second on Lightning", icon="clone", tooltip=tip, disabled=off)
        run.on_click(lambda _: self.run_on(label, LIGHTNING))
        second.on_click(lambda _: self.copy_on(label, LIGHTNING))
        return [run, second]


def _row(label: str, cost) -> dict[str, str]:
    return {
        f"engine of {shown(label)}": f"{cost.engine} ✓" if cost.chosen else cost.engine,
        "circuits, s / step": _seconds(cost.seconds),
        "whole step, s": _seconds(cost.step_seconds),
    }


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "does not run here"
    return f"{seconds:.2g}" if seconds < 100 else f"{seconds:,.0f}"


class Costs:
    """The places of the page that show costs: `costs.fold`, the header and the methods' cards.

    Args:
        header: Shows the number of runs, with their duration or its progress.
        methods: Returns the cards of the methods.
        background: Runs the comparison of the engines.
        on_error: Receives exceptions of buttons.
    """

    def __init__(
        self,
        header: Header,
        methods: Callable[[], MethodCards],
        background: Background,
        on_error: OnError,
    ):
        self.header, self.methods, self.background = header, methods, background
        self.shown: tuple[Mapping[str, Any], dict[str, Any], str] = ({}, {}, "")
        self.on_error = on_error
        parts = lambda: self.overview.panel, lambda: self.engines.panel
        self.fold = Fold("Cost, engines and circuits", *parts)
        self.fold.observe(lambda _: self.background.start("engines", self.compare), "unfolded")
        self.timed: tuple[Comparison | Sweep, dict[str, Any]] | None = None

    @functools.cached_property
    def overview(self) -> Overview:
        """The table of the costs, built when first opened."""
        overview = Overview()
        overview.show(*self.shown)
        return overview

    @functools.cached_property
    def engines(self) -> EngineCosts:
        """The comparison of the engines, built when first opened."""
        run_on = guarded(lambda *of: self.methods().run_on(*of), self.on_error)
        copy_on = guarded(lambda *of: self.methods().copy_on(*of), self.on_error)
        return EngineCosts(run_on, copy_on)

    @property
    def is_built(self) -> bool:
        """True if the table of the costs was opened."""
        return "overview" in vars(self)

    def wait(self) -> None:
        """Mark all costs as out of date."""
        self.timed = None
        if self.is_built:
            self.overview.waiting()
        self.header.summary.add_class("qtha-stale")

    async def time(self, described: Comparison | Sweep, sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the preview of each method, and show each when it is ready.

        Args:
            described: The comparison or sweep.
            sizes: Sizes of its methods, by label.
        """
        costs: dict[str, Any] = {}
        for place, label in enumerate(sizes, 1):
            compiles = must_compile()
            progress = measuring(place, len(sizes), compiles)
            self._show(sizes, costs, progress)
            brief = known(described, len(sizes), place, compiles)
            self.header.summary.value = boxes.lines([brief])
            self.header.summary.tooltip = progress
            costs[label] = await in_thread(preview_of, described, label)
        self._show(sizes, costs)
        self.header.summary.value = boxes.lines([summary(described, costs)])
        self.header.summary.remove_class("qtha-stale")
        self.header.summary.tooltip = ""
        self.timed = described, costs
        return costs

    async def compare(self) -> None:
        """Compare the engines of the timed methods, if the fold is open."""
        if self.fold.unfolded and self.timed:
            self.overview.progress.value = boxes.lines(["timing the engines of the circuits …"])
            try:
                self.engines.show(await in_thread(engines_of, *self.timed))
            finally:
                self.overview.progress.value = ""
            await self.show_memory()

    async def show_memory(self) -> None:
        """Show the memory of the notebook and of the server of its runs."""
        if self.is_built:
            self.overview.memory.value = boxes.lines([await asyncio.to_thread(memory_sentence)])

    def _show(self, sizes: Mapping[str, Any], costs: dict[str, Any], rest: str = "") -> None:
        self.shown = sizes, costs, rest
        if self.is_built:
            self.overview.show(*self.shown)
        self.methods().note(sizes, costs)
