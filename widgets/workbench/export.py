"""A panel that exports a run; each kind is one of `qtha_lab.runs.export.KINDS`.

Runs the command `qtha-lab export` in a process of its own. The headless equivalent is
`export(run, kind)`.
"""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json
from qtha_lab.runs.export import KINDS
from qtha_lab.runs.export.kinds import default_place
from qtha_lab.runs.run import load_run

from ..kit import boxes
from ..kit.loop import Background
from ..kit.static_output import StaticOutput
from .explore import titles

COMMAND = (sys.executable, "-c", "from qtha_lab.cli import main; main()")


class ExportPanel(StaticOutput, ipw.VBox):
    """An export panel for the last line of a cell, alone or in any box.

    Args:
        run: Id of the run to export, as the trait; one of `runs` if several are offered.
        command: Command that starts qtha-lab.

    Example:
        >>> leave = ExportPanel("20261124-153012-tiny-qa-qtha-s0-1a2b")  # doctest: +SKIP
        >>> await leave.export()  # doctest: +SKIP
    """

    run = traitlets.Unicode()
    runs = traitlets.Tuple()

    def __init__(self, run: str = "", command: Sequence[str] = COMMAND):
        super().__init__(layout=boxes.layout())
        self.command = command
        self.error, self.aria = boxes.ErrorText(), boxes.Announcer()
        self.background = Background(self.error.report)
        self.children = self._laid_out()
        boxes.classed(self, "qtha-page", "qtha-column", "qtha-export")
        self.observe(self.error.guard(lambda _: self._show_choice()), "run")
        self.observe(self.error.guard(self._offer), "runs")
        self.run = run
        self._show_choice()

    async def export(self) -> None:
        """Create the selected export, and show its path and message."""
        if not self.run:
            raise Refusal("No run to export is ticked.")
        self.error.show("")
        self.state.value, self.button.disabled = boxes.lines(["Working …"]), True
        try:
            output = await output_of([*self.command, *self._words(), "--json"])
        finally:
            self.state.value, self.button.disabled = "", False
        result = parse_json(output)
        self.path = result["path"]
        sentence = f"{self.path}: {result['message']}"
        self.state.value = boxes.lines([sentence])
        self.aria.say(sentence)

    def still(self) -> dict[str, str]:
        """Return the command line that gives the same export."""
        return {"text/plain": shlex.join(self._command()) if self.run else "no run is picked"}

    def _command(self) -> list[str]:
        """Return the command for a user, with the run named by its id."""
        words = self._words()
        return ["qtha-lab", words[0], load_run(self.run).id, *words[2:]]

    def _offer(self, change) -> None:
        """Replace the listed runs; keep the selected run if the list contains it."""
        runs = list(change["new"])
        run = self.run if self.run in runs else next(iter(runs), "")
        boxes.show(self.pick, len(runs) > 1)
        self.pick.options = tuple(titles([load_run(id) for id in runs]))
        self.pick.value = run or None
        self.run = run

    def _words(self) -> list[str]:
        """Return the command's arguments after the program name."""
        words = ["export", str(load_run(self.run).path), self.kind.value]
        if self.to.value.strip():
            words += ["--to", self.to.value.strip()]
        return [*words, "--r", str(self.r.value)] if self.kind.value == "lora" else words

    def _show_choice(self) -> None:
        """Show the default path and the command of the selected export."""
        boxes.show(self.r, self.kind.value == "lora")
        self.state.value = ""
        if not self.run:
            self.code.value = ""
            self.state.value = boxes.lines(["Pick a run to export it."])
            return
        run = load_run(self.run)
        self.to.placeholder = str(default_place(run, str(self.kind.value)))
        self.code.value = boxes.code(shlex.join(self._command()))

    def _laid_out(self) -> list[Any]:
        self.path = ""
        self.pick = boxes.styled(ipw.Dropdown, description="run")
        self.pick.observe(lambda _: self.set_trait("run", self.pick.value or ""), "value")
        boxes.show(self.pick, False)
        kinds = [(f"{name}: {kind.summary}", name) for name, kind in KINDS.items()]
        self.kind = boxes.styled(ipw.Dropdown, options=kinds, description="export")
        self.to = boxes.styled(ipw.Text, description="to", continuous_update=False)
        narrow = boxes.layout(width="150px")
        self.r = boxes.styled(
            ipw.BoundedIntText, 8, min=1, max=4096, description="rank r", layout=narrow
        )
        for control in (self.kind, self.to, self.r):
            control.observe(self.error.guard(lambda _: self._show_choice()), "value")
        self.button = boxes.button("Export", icon="download", button_style="primary")
        self.button.on_click(lambda _: self.background.start("export", self.export))
        self.state, self.code = boxes.text(), boxes.text("", "qtha-code")
        return [ self.aria, self.pick, self.kind, self.r, self.to, self.code,
            boxes.row([self.button, self.state]), self.error.panel,
        ]  # fmt: skip


async def output_of(words: Sequence[str]) -> bytes:
    """Return the output of a command line; raise its last line if it fails."""
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, error = await process.communicate()
    if process.returncode:
        raise Refusal(_last_line(error).removeprefix("error: "))
    return output


def _last_line(words: bytes) -> str:
    lines = words.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the command ended without a word"
