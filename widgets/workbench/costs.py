"""The costs of a comparison on the page: sizes at once, then times as they are measured.

The engines are compared while their fold is open: they load further simulators.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any

from qtha_lab.experiment import Comparison, Sweep

from ..kit import styles
from ..kit.callbacks import OnError, guarded
from ..kit.fold import Fold
from ..kit.loop import Background, in_thread
from .engine_costs import EngineCosts
from .forecasts import engines_of, known, measuring, must_compile, preview_of, summary
from .header import Header
from .memory_use import memory_sentence
from .methods import MethodCards
from .overview import Overview


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
            self.header.summary.value = styles.lines([brief])
            self.header.summary.tooltip = progress
            costs[label] = await in_thread(preview_of, described, label)
        self._show(sizes, costs)
        self.header.summary.value = styles.lines([summary(described, costs)])
        self.header.summary.remove_class("qtha-stale")
        self.header.summary.tooltip = ""
        self.timed = described, costs
        return costs

    async def compare(self) -> None:
        """Compare the engines of the timed methods, if the fold is open."""
        if self.fold.unfolded and self.timed:
            self.overview.progress.value = styles.lines(["timing the engines of the circuits …"])
            try:
                self.engines.show(await in_thread(engines_of, *self.timed))
            finally:
                self.overview.progress.value = ""
            await self.show_memory()

    async def show_memory(self) -> None:
        """Show the memory of the notebook and of the server of its runs."""
        if self.is_built:
            self.overview.memory.value = styles.lines([await asyncio.to_thread(memory_sentence)])

    def _show(self, sizes: Mapping[str, Any], costs: dict[str, Any], rest: str = "") -> None:
        self.shown = sizes, costs, rest
        if self.is_built:
            self.overview.show(*self.shown)
        self.methods().note(sizes, costs)
