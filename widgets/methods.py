"""The methods to compare: a card each, and a list to add from.

The same method may be added twice, with other options.
"""

from collections.abc import Callable, Iterable

import ipywidgets as ipw

from qtha_lab.adapters import method_names
from qtha_lab.adapters.controls import controlled_methods
from qtha_lab.errors import Refusal
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.families import with_controls

from . import look
from .banner import Fault
from .method_card import MethodCard

ADD = "add a method …"
CONTROLLED = {f"{name} with its controls": name for name in controlled_methods()}


class MethodCards:
    """Cards of methods with a list to add from; `cards.choices()` is what was picked.

    `model()` names the base model, on which LoRA of a method's size is found for its controls.
    """

    def __init__(
        self,
        choices: Iterable[MethodChoice],
        changed: Callable[[], None],
        model: Callable[[], str],
    ):
        self.changed, self.model = changed, model
        self.cards: list[MethodCard] = []
        self.add = ipw.Dropdown(options=[ADD, *CONTROLLED, *method_names()], description="add")
        self.add.observe(self._picked, "value")
        self.box = look.column()
        head = look.row(look.heading("Methods"), self.add, css="qtha-methods-head")
        self.panel = look.column(head, self.box)
        for choice in choices:
            self._append(choice)
        self._draw()
        if self.cards:
            self.cards[0].unfolded = True

    def choices(self) -> list[MethodChoice]:
        """Every method as entered.

        Raises:
            ValueError: If there is none, or an entry cannot be.
        """
        for fault in self.faults():
            raise Refusal(fault.sentence)
        return [card.choice() for card in self.cards]

    def faults(self) -> list[Fault]:
        """What is wrong, with the control to change."""
        if not self.cards:
            return [Fault("add at least one method", self.add)]
        labels = [card.label for card in self.cards]
        twice = [i for i, label in enumerate(labels) if label in labels[:i]]
        wrong = [fault for card in self.cards for fault in card.faults(self._place(card))]
        return wrong + [
            Fault(f"methods: {labels[i]} is given twice", self.cards[i].button) for i in twice
        ]

    def _place(self, card: MethodCard) -> str:
        alone = [c.name for c in self.cards].count(card.name) == 1
        return card.name if alone else card.title

    def _append(self, choice: MethodChoice) -> MethodCard:
        card = MethodCard(choice, self._copied, self._removed)
        card.form.observe(self._entered)
        self.cards.append(card)
        return card

    def _entered(self) -> None:
        self._draw()
        self.changed()

    def _picked(self, change) -> None:
        picked = change["new"]
        if picked in CONTROLLED or picked in method_names():
            new = [self._append(choice) for choice in self._meant(picked)]
            if picked in method_names():
                new[0].unfolded = True
            self.add.value = ADD
            self._entered()

    def _meant(self, picked: str) -> list[MethodChoice]:
        """One method; or the controls of one, beside it if it is there already."""
        name = CONTROLLED.get(picked)
        if name is None:
            return [MethodChoice(name=picked)]
        there = [card.choice() for card in self.cards if not card.faults()]
        own = next((c for c in there if c.name == name), MethodChoice(name=name))
        meanings = {choice.meaning for choice in there}
        return [c for c in with_controls(own, self.model()) if c.meaning not in meanings]

    def _copied(self, card: MethodCard) -> None:
        self._append(card.choice()).unfolded = True
        self._entered()

    def _removed(self, card: MethodCard) -> None:
        self.cards.remove(card)
        self._entered()

    def _draw(self) -> None:
        """Cards in their order, each under its label, with a number where two labels are equal."""
        labels = [card.label for card in self.cards]
        for i, (card, label) in enumerate(zip(self.cards, labels, strict=True)):
            number = labels[:i].count(label) + 1
            card.title = label if number == 1 else f"{label} ({number})"
            card.copy.disabled = bool(card.faults())
            card.copy.tooltip, card.remove.tooltip = (
                f"Duplicate {card.title}",
                f"Remove {card.title}",
            )
        self.box.children = self.cards
