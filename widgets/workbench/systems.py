"""Commands that train no comparison: learned angles, circuit search, federations, reproductions.

A form per command follows from the options of `qtha-lab`. A launched command is watched like a
comparison: its state and output, with the curves of the runs that it trains.
"""

import asyncio
import inspect
import shlex
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import ipywidgets as ipw

from qtha_lab.cli import load_commands
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import Federation, Training
from qtha_lab.runs.run import Run

from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import Background
from .banner import Fault
from .command_run import CommandRun, latest_command
from .form import Form
from .study_watch import TICK_SECONDS


class Command(NamedTuple):
    """A command: its words, first values of its form, and the name of its output.

    A command that `continues` goes on after an interruption when it is started again.
    """

    words: tuple[str, ...]
    first: dict[str, Any]
    out: str = ""
    continues: bool = False


FEDERATION = {"methods": "lora(r=2),qtha(r=4)", "clients": 4, "rounds": 5, "steps": 50}
COMMANDS = {
    "learn initial angles": Command(("init", "learn"), {"epochs": 2}, "angles.safetensors"),
    "search a circuit": Command(("search",), {"steps": 40, "candidates": 8, "finetune": 4}),
    "train by federated averaging": Command(("federate",), FEDERATION, "out", continues=True),
    "reproduce a paper": Command(
        ("reproduce",), {"name": "flip", "quick": True}, "out", continues=True
    ),
}
"""Titles of the commands; the first values are of a small size that ends within minutes."""
OMITTED = ("json", "listed", "every", "dry_run", "file", "out", "training")


class Systems:
    """The form of a command, `systems.form_fold`, and the state of the last one, `systems.panel`.

    Args:
        background: Runs the reading of the output.
        announce: Receives sentences for a screen reader.
        launched: Called after a launch.
        trained: Called with the runs that the command trains, as they begin.
    """

    def __init__(
        self,
        background: Background,
        announce: Callable[[str], None],
        launched: Callable[[], None] = lambda: None,
        trained: Callable[[Iterable[Run]], None] = lambda runs: None,
    ):
        self.background, self.announce, self.error = background, announce, boxes.ErrorText()
        self.launched, self.trained = launched, trained
        self.choice = boxes.styled(ipw.Dropdown, options=list(COMMANDS), description="command")
        self.choice.observe(self.error.guard(lambda _: self._draw()), "value")
        self.place = boxes.column()
        self.line = boxes.text("", "qtha-code")
        self.start = boxes.button("Launch the command", icon="rocket", button_style="primary")
        self.start.on_click(self.error.guard(lambda _: self.launch()))
        self.refused = boxes.text("", "qtha-error")
        start = boxes.row([self.start, self.refused])
        parts = self.choice, self.place, self.line, start, self.error.panel
        self.form_fold = Fold("Other systems", *parts)
        self.form_fold.observe(self.error.guard(lambda _: self._draw()), "unfolded")
        self.state = boxes.text("", "qtha-banner")
        self.output = boxes.text("", "qtha-code qtha-output")
        self.stop = boxes.button("Stop the command", icon="stop")
        self.stop.on_click(self.error.guard(lambda _: self.run.interrupt() if self.run else None))
        self.resume = boxes.button("Resume the command", icon="play")
        self.resume.on_click(self.error.guard(lambda _: self._resume()))
        buttons = boxes.row([self.stop, self.resume])
        self.panel = boxes.column([self.state, buttons, self.output])
        self.form: Form | None = None
        self.run = latest_command()
        is_running = self.run is not None and self.run.state == "running"
        boxes.show(self.panel, is_running)
        if is_running:
            self.background.start("command", self.follow)

    @property
    def is_shown(self) -> bool:
        """True if a command is shown."""
        return boxes.is_shown(self.panel)

    def choose(self, title: str) -> None:
        """Open the form of a command."""
        self.choice.value, self.form_fold.unfolded = title, True
        self._draw()
        self.start.focus()

    def arguments(self) -> list[str]:
        """Return the arguments of the command as entered.

        Raises:
            Refusal: If an entry is invalid.
        """
        assert self.form is not None
        for fault in self.form.faults():
            raise Refusal(fault.sentence)
        command = COMMANDS[str(self.choice.value)]
        if command.words == ("federate",):
            return shlex.split(_federation(self.form.changed).to_command())[1:]
        return [*command.words, *_words(self.form)]

    def faults(self) -> list[Fault]:
        """Return the errors of the form with their fields."""
        try:
            self.arguments()
        except Refusal as refusal:
            assert self.form is not None
            return self.form.faults() or [self.form.fault(str(refusal))]
        return []

    def launch(self) -> None:
        """Start the command, and follow its output."""
        title = str(self.choice.value)
        self.run = CommandRun.launch(title, self.arguments(), COMMANDS[title].out)
        self._follow_all()

    def make_room(self) -> None:
        """Hide a command that has ended."""
        if not boxes.is_shown(self.stop):
            self.run = None
            boxes.show(self.panel, False)

    async def follow(self) -> None:
        """Show state, output and runs until the command ends."""
        known: list[str] = []
        while (run := self.run) is not None:
            state, output, runs = await asyncio.to_thread(_read, run)
            if run is not self.run:
                return
            self._show(run, state, output)
            if [one.id for one in runs] != known:
                known = [one.id for one in runs]
                self.trained(runs)
            if state != "running":
                return self.announce(f"{run.facts['title']}: {state}")
            await asyncio.sleep(TICK_SECONDS)

    def _show(self, run: CommandRun, state: str, output: str) -> None:
        facts = run.facts
        line = f"{facts['title']}: {state} · qtha-lab {shlex.join(facts['arguments'])}"
        self.state.value = boxes.lines([line])
        self.output.value = boxes.code(output) if output else ""
        boxes.mark_wrong(self.state, state in ("failed", "ended"))
        boxes.show(self.stop, state == "running")
        command = COMMANDS.get(facts["title"])
        can_go_on = command is not None and command.continues
        boxes.show(self.resume, can_go_on and state in ("stopped", "failed", "ended"))

    def _resume(self) -> None:
        if self.run is not None:
            self.run.begin()
            self._follow_all()

    def _follow_all(self) -> None:
        boxes.show(self.panel)
        boxes.show(self.stop)
        self.launched()
        self.background.start("command", self.follow)

    def _draw(self) -> None:
        if not self.form_fold.unfolded:
            return
        title = str(self.choice.value)
        self.form = Form(settings_of_command(title), COMMANDS[title].first)
        boxes.put(self.place, [self.form.panel])
        self.form.observe(self.error.guard(self._check))
        self._check()

    def _check(self) -> None:
        """Show the command line, or mark the faulty field and state why Launch is disabled."""
        assert self.form is not None
        found = self.faults()
        self.form.show_faults(found)
        self.start.disabled = bool(found)
        reasons = [f"Launch is disabled. {fault.sentence}" for fault in found[:1]]
        self.start.tooltip, self.refused.value = "".join(reasons), boxes.lines(reasons)
        if not found:
            self.line.value = boxes.code(f"qtha-lab {shlex.join(self.arguments())}")


def _read(run: CommandRun) -> tuple[str, str, list[Run]]:
    return run.state, run.output(), run.runs()


def settings_of_command(title: str) -> dict[str, Setting]:
    """Return the settings of a command; those with a first value are not folded."""
    words, first = COMMANDS[title].words, COMMANDS[title].first
    declared = _of_federation() if words == ("federate",) else _of_function(words)
    shown = first if len(declared) > len(first) + 6 else declared
    settings = {n: replace(s, common=n in shown) for n, s in declared.items() if n not in OMITTED}
    return {name: settings[name] for name in sorted(settings, key=lambda name: name not in first)}


def _of_federation() -> dict[str, Setting]:
    declared = settings_of(Federation) | settings_of(Training)
    methods = ",".join(choice.label for choice in declared["methods"].default)
    return declared | {"methods": replace(declared["methods"], type=str, default=methods)}


def _federation(changed: dict[str, Any]) -> Federation:
    own = settings_of(Federation)
    training = {name: value for name, value in changed.items() if name not in own}
    return Federation(**{n: v for n, v in changed.items() if n in own}, training=training)


def _of_function(words: Sequence[str]) -> dict[str, Setting]:
    """Return the parameters of a command's function as settings."""
    function = _function(words)
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return {p.name: _setting(p.name, p.default, hints[p.name]) for p in parameters}


def _function(words: Sequence[str]) -> Callable[..., Any]:
    app = load_commands()
    for word in words[:-1]:
        groups = (group for group in app.registered_groups if group.name == word)
        app = next(group.typer_instance for group in groups if group.typer_instance)
    found: dict[str, Callable[..., Any]] = {}
    for command in app.registered_commands:
        if command.callback is not None:
            found[command.name or command.callback.__name__] = command.callback
    return found[words[-1]]


def _setting(name: str, default: Any, hint: Any) -> Setting:
    """Return a parameter, annotated with its option of the command line, as a setting."""
    kind, option = typing.get_args(hint)[:2]
    optional = default is None
    kinds = [each for each in typing.get_args(kind) if each is not type(None)] or [kind]
    choices: tuple[Any, ...] = ()
    if name == "name":
        from qtha_lab.reproductions import REPRODUCTIONS

        choices, optional = tuple(REPRODUCTIONS), False
    of_type = kinds[0] if kinds[0] in (int, float, bool) else str
    return Setting(
        name, of_type, choices[0] if choices else default, choices=choices, optional=optional,
        ge=option.min, help=option.help or "",
    )  # fmt: skip


def _words(form: Form) -> list[str]:
    """Return the entries that differ from their defaults as words of a command line."""
    written = [form["name"].value] if "name" in form.fields else []
    for name, value in form.changed.items():
        if name != "name":
            flag = f"--{name.replace('_', '-')}"
            written += [flag] if value is True else [flag, str(value)]
    return written
