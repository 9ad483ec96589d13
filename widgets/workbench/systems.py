"""Commands that train no comparison: learned angles, circuit search, federations, reproductions.

A form per command follows from the options of `qtha-lab`. A launched command is a process of its
own with a folder, which a new panel finds again.
"""

import asyncio
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer.main

from qtha_lab.cli import load_commands
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, read, read_tail
from qtha_lab.core.settings import Setting
from qtha_lab.experiment.run_directory import write_json

from ..kit import controls as ui
from ..kit import styles
from ..kit.guard import ErrorLine
from ..kit.loop import Background
from .form import Form

log = logging.getLogger(__name__)

COMMANDS = {
    "learn initial angles": ("init", "learn"),
    "search a circuit": ("search",),
    "train by federated averaging": ("federate",),
    "reproduce a paper": ("reproduce",),
}
FIRST = {
    "learn initial angles": {"epochs": 2},
    "search a circuit": {"steps": 40, "candidates": 8, "finetune": 4},
    "train by federated averaging": {},
    "reproduce a paper": {"quick": True},
}
"""Initial values: a small size that ends within minutes."""
OMITTED = ("help", "json", "list", "all", "dry_run", "file")
TYPES = {"integer": int, "integer range": int, "float": float, "boolean": bool}
TICK_SECONDS = 0.7
LINES = 40  # of the output that the page shows


@dataclass(frozen=True)
class CommandRun:
    """A launched command with its folder."""

    path: Path

    @classmethod
    def launch(cls, title: str, arguments: list[str]) -> "CommandRun":
        """Start a command in a process of its own."""
        name = "-".join(COMMANDS[title])
        run = cls(commands_dir() / time.strftime(f"%Y%m%d-%H%M%S-{name}"))
        run.path.mkdir(parents=True)
        source = f"PLACE={str(run.path / 'exit')!r}\n" + WRAPPER
        with (run.path / "output.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", source, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
            )  # fmt: skip
        facts = {"title": title, "arguments": arguments, "pid": process.pid}
        write_json(run.path / "command.json", facts)
        return run

    @property
    def facts(self) -> dict[str, Any]:
        """Title, arguments and process id."""
        return parse_json(read(self.path / "command.json"))

    @property
    def state(self) -> str:
        """Return "running", "finished", "failed" or "ended"."""
        if (self.path / "exit").exists():
            return "finished" if read(self.path / "exit").strip() == "0" else "failed"
        try:
            os.kill(self.facts["pid"], 0)
        except (OSError, ValueError) as reason:
            log.debug("%s is not running: %s", self.path.name, reason)
            return "ended"
        return "running"

    def output(self) -> str:
        """Return the last lines of the output."""
        text = read_tail(self.path / "output.log", 300 * LINES).decode(errors="replace")
        return "\n".join(text.splitlines()[-LINES:])

    def stop(self) -> None:
        """Ask the process to end."""
        if self.state == "running":
            os.killpg(self.facts["pid"], signal.SIGINT)


WRAPPER = """import pathlib, runpy, sys
code = 1
sys.argv[0] = "qtha-lab"
try:
    runpy.run_module("qtha_lab", run_name="__main__", alter_sys=False)
    code = 0
except SystemExit as end:
    code = end.code or 0
finally:
    pathlib.Path(PLACE).write_text(str(code))
"""


def commands_dir() -> Path:
    """Return the folder of launched commands, beside the runs."""
    return paths.runs_dir().parent / "commands"


def latest_command() -> CommandRun | None:
    """Return the command that was launched last."""
    folder = commands_dir()
    found = sorted(folder.glob("*/command.json")) if folder.is_dir() else []
    return CommandRun(found[-1].parent) if found else None


class Systems:
    """The form of a command, `systems.form_fold`, and the output of the last one, `systems.panel`.

    Args:
        background: Runs the reading of the output.
        announce: Receives sentences for a screen reader.
    """

    def __init__(self, background: Background, announce: Callable[[str], None]):
        self.background, self.announce, self.error = background, announce, ErrorLine()
        self.choice = ui.Select(list(COMMANDS), description="command")
        self.choice.observe(self.error.guard(lambda _: self._draw()), "value")
        self.place = styles.column()
        self.line = styles.text("", "qtha-code")
        start = ui.Button("Launch the command", icon="rocket", primary=True)
        start.on_click(self.error.guard(lambda _: self.launch()))
        parts = self.choice, self.place, self.line, styles.row(start), self.error.panel
        self.form_fold = ui.Fold("Other systems", *parts)
        self.form_fold.observe(self.error.guard(lambda _: self._draw()), "unfolded")
        self.state = styles.text("", "qtha-banner")
        self.output = styles.text("", "qtha-code qtha-output")
        self.stop = ui.Button("Stop the command", icon="stop")
        self.stop.on_click(self.error.guard(lambda _: self.run.stop() if self.run else None))
        self.panel = styles.column(self.state, styles.row(self.stop), self.output)
        self.form: Form | None = None
        self.run = latest_command()
        self.panel.visible = self.run is not None and self.run.state == "running"
        if self.panel.visible:
            self.background.start("command", self.follow)

    def choose(self, title: str) -> None:
        """Open the form of a command."""
        self.choice.value, self.form_fold.unfolded = title, True
        self._draw()
        self.choice.focus()

    def arguments(self) -> list[str]:
        """Return the arguments of the command as entered.

        Raises:
            Refusal: If an entry is invalid.
        """
        title = str(self.choice.value)
        form = self.form
        assert form is not None
        for fault in form.faults():
            raise Refusal(fault.sentence)
        words = list(COMMANDS[title])
        for parameter in parameters(title):
            name = str(parameter.name)
            if name in form.fields and form[name].value != form[name].declared.default:
                words += _words(parameter, form[name].value)
        return words

    def launch(self) -> None:
        """Start the command, and follow its output."""
        self.run = CommandRun.launch(str(self.choice.value), self.arguments())
        self.panel.visible = True
        self.background.start("command", self.follow)

    async def follow(self) -> None:
        """Show state and output until the command ends."""
        while (run := self.run) is not None:
            state, output = await asyncio.to_thread(lambda run=run: (run.state, run.output()))
            line = f"{run.facts['title']}: {state} · qtha-lab {shlex.join(run.facts['arguments'])}"
            self.state.value, self.output.value = styles.lines([line]), styles.code(output)
            styles.mark_wrong(self.state, state == "failed")
            self.stop.visible = state == "running"
            if state != "running":
                return self.announce(line)
            await asyncio.sleep(TICK_SECONDS)

    def _draw(self) -> None:
        if not self.form_fold.unfolded:
            return
        title = str(self.choice.value)
        self.form = Form(settings_of_command(title), FIRST[title])
        self.place.children = (self.form.panel,)
        self.form.observe(self.error.guard(self._show_line))
        self._show_line()

    def _show_line(self) -> None:
        self.line.value = styles.code(f"qtha-lab {shlex.join(self.arguments())}")


def parameters(title: str) -> list[Any]:
    """Return the parameters of a command."""
    command: Any = typer.main.get_command(load_commands())
    for name in COMMANDS[title]:
        command = command.commands[name]
    return [p for p in command.params if p.name not in OMITTED]


def settings_of_command(title: str) -> dict[str, Setting]:
    """Return the parameters of a command as settings, the ones with a first value first."""
    settings = {str(p.name): _setting(p, title) for p in parameters(title)}
    first = [name for name in settings if settings[name].common]
    return {name: settings[name] for name in [*first, *(n for n in settings if n not in first)]}


def _setting(parameter: Any, title: str) -> Setting:
    kind, default = parameter.type, parameter.default
    of_type = TYPES.get(kind.name, str)
    choices = tuple(getattr(kind, "choices", ()))
    if title == "reproduce a paper" and parameter.name == "name":
        from qtha_lab.reproductions import REPRODUCTIONS

        choices, default = tuple(REPRODUCTIONS), next(iter(REPRODUCTIONS))
    low = getattr(kind, "min", None)
    text: Mapping[str, Any] = {"help": getattr(parameter, "help", None) or ""}
    if of_type is str and not choices:
        default = "" if default is None or not isinstance(default, str | Path) else str(default)
    several = len(parameters(title)) > 20 if title == "train by federated averaging" else False
    common = not several or str(parameter.name) in ("methods", "clients", "rounds", "task", "out")
    return Setting(
        str(parameter.name), of_type, default, choices=choices, ge=low, common=common,
        optional=default is None, **text,
    )  # fmt: skip


def _words(parameter: Any, value: Any) -> list[str]:
    """Return the words of a parameter on a command line."""
    if parameter.param_type_name == "argument":
        return [str(value)]
    if isinstance(value, bool):
        names = parameter.opts if value else parameter.secondary_opts
        return names[:1]
    return [parameter.opts[0], str(value)]
