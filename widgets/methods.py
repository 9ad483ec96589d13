"""The methods to compare: one tab each, its options drawn from what the method declares.

The same method may be added twice, with other options. Checks nothing that `MethodChoice` does not.
"""

import dataclasses
import textwrap
from collections.abc import Callable, Iterable

import ipywidgets as ipw

from qtha_lab.adapters import get_method, method_names
from qtha_lab.adapters.controls import CONTROLS
from qtha_lab.errors import Refusal
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.families import with_controls
from qtha_lab.settings import Setting, settings_of
from widgets import look
from widgets.form import Form

CONTROLLED = {f"{name} with its controls": name for name in CONTROLS}


def choice_settings(name: str) -> dict[str, Setting]:
    """What a choice of this method has besides its name and options, with its own learning rate named."""
    own = {n: s for n, s in settings_of(MethodChoice).items() if n not in ("name", "options")}
    rate = own["learning_rate"]
    own["learning_rate"] = dataclasses.replace(
        rate, help=f"{rate.help} Not set: {get_method(name).default_learning_rate:g}."
    )
    return own


class MethodTab:
    """The options of one method, most of them folded in a scrolling form."""

    def __init__(self, choice: MethodChoice, on_remove: Callable[["MethodTab"], None]):
        self.name = choice.name
        self.title = textwrap.shorten(choice.label.replace(",", ", "), 34, placeholder=" …")
        method = get_method(choice.name)
        self.common = Form(choice_settings(choice.name), choice.model_dump())
        self.options = Form(method.settings(), choice.options)
        self.remove = ipw.Button(description="Remove", icon="times", layout={"width": "100px"})
        self.remove.on_click(lambda _: on_remove(self))
        self.said = look.text(method.summary, "qtha-said", flex="1 1 200px")
        forms = look.column(
            self.common.panel, self.options.panel, max_height="330px", overflow="auto"
        )
        self.panel = look.column(look.row(self.said, self.remove), forms)

    def choice(self) -> MethodChoice:
        """The method as entered; only what differs from the defaults is written out.

        Raises:
            ValueError: The first entry that cannot be.
        """
        for wrong in (self.common.errors | self.options.errors).values():
            raise Refusal(f"{self.name}: {wrong}")
        return MethodChoice(name=self.name, **self.common.changed, options=self.options.changed)

    def observe(self, changed: Callable[[], None]) -> None:
        """Call `changed()` after every entry."""
        self.common.observe(changed)
        self.options.observe(changed)


class MethodTabs:
    """Tabs of methods with a list to add from; `tabs.choices()` is what was picked.

    `model()` names the base model, on which LoRA of a method's size is found for its controls.
    """

    def __init__(
        self,
        choices: Iterable[MethodChoice],
        changed: Callable[[], None],
        model: Callable[[], str],
    ):
        self.changed, self.model = changed, model
        self.entries: list[MethodTab] = []
        self.tabs = ipw.Tab(layout={"width": "auto"})
        self.add = ipw.Dropdown(
            options=["add a method …", *CONTROLLED, *method_names()], layout={"width": "220px"}
        )
        self.add.observe(self._picked, "value")
        self.panel = look.column(look.row(look.text("Methods", "qtha-head"), self.add), self.tabs)
        for choice in choices:
            self._append(choice)
        self._draw()

    def choices(self) -> list[MethodChoice]:
        """Every method as entered.

        Raises:
            ValueError: If there is none, or an entry cannot be.
        """
        if not self.entries:
            raise Refusal("add at least one method")
        return [entry.choice() for entry in self.entries]

    def _append(self, choice: MethodChoice) -> None:
        entry = MethodTab(choice, self._removed)
        entry.observe(self.changed)
        self.entries.append(entry)

    def _picked(self, change) -> None:
        picked = change["new"]
        if picked in CONTROLLED or picked in method_names():
            for choice in self._meant(picked):
                self._append(choice)
            self.add.value = self.add.options[0]
            self._draw(len(self.entries) - 1)
            self.changed()

    def _meant(self, picked: str) -> list[MethodChoice]:
        """One method; or the controls of one, beside it if it is there already."""
        name = CONTROLLED.get(picked)
        if name is None:
            return [MethodChoice(name=picked)]
        there = [e.choice() for e in self.entries]
        own = next((c for c in there if c.name == name), MethodChoice(name=name))
        meanings = {choice.meaning for choice in there}
        return [c for c in with_controls(own, self.model()) if c.meaning not in meanings]

    def _removed(self, entry: MethodTab) -> None:
        self.entries.remove(entry)
        self._draw()
        self.changed()

    def _draw(self, selected: int = 0) -> None:
        self.tabs.children = [entry.panel for entry in self.entries]
        self.tabs.titles = [entry.title for entry in self.entries]
        self.tabs.selected_index = selected if self.entries else None
