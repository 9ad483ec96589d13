"""The methods to compare: one card each, and a list to add from.

The same method may be added twice, with other options.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.method_choice import with_controls
from qtha_lab.experiment.method_list import method_entries

from ..kit import boxes
from ..kit.boxes import OnError, guarded
from ..runs.variants import variants
from .banner import Fault
from .method_card import MethodCard

ADD = "add a method …"


class MethodCards(ipw.VBox):
    """Cards of methods with a list to add from; read `methods.choices()`.

    Args:
        choices: The initial method choices.
        changed: Called after every entry.
        model: Returns the base model, on which the LoRA of a method's size is computed.
        on_error: Receives exceptions of callbacks.
        axes: Returns the initial settings of a method with several values.
    """

    def __init__(
        self,
        choices: Iterable[MethodChoice],
        changed: Callable[[], None],
        model: Callable[[], str],
        on_error: OnError,
        axes: Callable[[MethodChoice], dict[str, Any]] = lambda _: {},
    ):
        self.changed, self.model, self.on_error = changed, model, on_error
        self.cards: list[MethodCard] = []
        self.add = boxes.styled(ipw.Dropdown, options=[ADD], description="add", css="qtha-setting")
        self.offer()
        self.add.observe(guarded(self._add, on_error), "value")
        self.box = boxes.column()
        super().__init__([self.box, self.add], layout=boxes.layout())
        boxes.classed(self, "qtha-methods")
        for choice in choices:
            self._append(choice, axes(choice))
        self._draw()

    def offer(self) -> None:
        """List the present methods, and entries that add a method with its controls."""
        self.families = families()
        options = (ADD, *self.families, *method_entries())
        boxes.show_options(self.add, options)

    def choices(self) -> list[MethodChoice]:
        """Return every method as entered.

        Raises:
            Refusal: If there is none, or an entry is invalid.
        """
        for fault in self.faults():
            raise Refusal(fault.sentence)
        return [card.choice() for card in self.cards]

    def faults(self) -> list[Fault]:
        """Return the errors with the fields to change."""
        if not self.cards:
            return [Fault("The page must have at least one method, got none. Add one.", self.add)]
        of_cards = [fault for card in self.cards for fault in card.faults(self._place(card))]
        return of_cards + [
            Fault(
                f"{card.title} is the same as {first}: change a setting of it",
                card.form["learning_rate"],
            )
            for first, card in self._repeated()
        ]

    def _repeated(self) -> list[tuple[str, MethodCard]]:
        """Return the cards equal to an earlier one, with the title of the earlier card."""
        labels = [card.label for card in self.cards]
        numbers = [i for i, label in enumerate(labels) if label in labels[:i]]
        return [(labels[i], self.cards[i]) for i in numbers]

    def _place(self, card: MethodCard) -> str:
        unique = [c.name for c in self.cards].count(card.name) == 1
        return card.name if unique else card.title

    def _append(self, choice: MethodChoice, axes: dict[str, Any] | None = None) -> MethodCard:
        copy, remove = (guarded(answer, self.on_error) for answer in (self._copy, self._remove))
        card = MethodCard(choice, copy, remove, axes)
        card.form.observe(guarded(self._renew, self.on_error))
        self.cards.append(card)
        return card

    def _renew(self) -> None:
        self._draw()
        self.changed()

    def _add(self, change) -> None:
        option = change["new"]
        if option != ADD:
            cards = [self._append(choice) for choice in self._choices_of(option)]
            if option not in self.families:
                cards[0].unfolded = True
            self.add.value = ADD
            self._renew()

    def _choices_of(self, option: str) -> list[MethodChoice]:
        """Return a method's choice; or its controls, with the method unless present."""
        name = self.families.get(option)
        if name is None:
            return [MethodChoice(name=option)]
        present = [card.choice() for card in self.cards if not card.faults()]
        method = next((c for c in present if c.name == name), MethodChoice(name=name))
        meanings = {choice.meaning for choice in present}
        return [c for c in with_controls(method, self.model()) if c.meaning not in meanings]

    def note(self, sizes: Mapping[str, Any], previews: Mapping[str, Any]) -> None:
        """Write parameters and, for a previewed method, the duration on each card.

        Args:
            sizes: Sizes by label of the method.
            previews: Previews so far, by label.
        """
        for label, known in sizes.items():
            if (card := self._card(label)) is not None:
                card.note = card.cost(known, previews.get(label))

    def run_on(self, label: str, engine: str) -> None:
        """Set the engine of a method's circuits."""
        self._card_of(label).form["engine"].value = engine

    def copy_on(self, label: str, engine: str) -> None:
        """Add a method once more, with its circuits on another engine."""
        card = self._card_of(label)
        choice = card.choice()
        second = choice.replace(options={**choice.options, "engine": engine}, title="")
        self._append(second, card.form.axes).unfolded = True
        self._renew()

    def _card_of(self, label: str) -> MethodCard:
        """Return a method's card by label; the label may state numbers of automatic sizes."""
        card = self._card(label)
        assert card is not None, f"no card of {label}"
        return card

    def _card(self, label: str) -> MethodCard | None:
        meant = MethodChoice.parse(label).options.items()
        cards = [card for card in self.cards if not card.faults()]
        named = [card for card in cards if card.choice().label == label]
        open_ones = (c for c in cards if c.choice().name == MethodChoice.parse(label).name)
        fitting = (c for c in open_ones if c.choice().options.items() <= meant)
        return next(iter(named), None) or next(fitting, None)

    def field_of(self, sentence: str) -> Any:
        """Return the field to change for a refusal that begins with the name of a method."""
        named = (card for card in self.cards if sentence.startswith(f"{card.name}: "))
        return next((card.located(sentence).control for card in named), None)

    def _copy(self, card: MethodCard) -> None:
        self._append(card.choice().replace(title=""), card.form.axes).unfolded = True
        self._renew()

    def _remove(self, card: MethodCard) -> None:
        self.cards.remove(card)
        self._renew()

    def _draw(self) -> None:
        """Show cards in order with symbol and name of their variant, and a number if equal."""
        labels = [card.label for card in self.cards]
        known = variants(labels)
        for i, (card, label) in enumerate(zip(self.cards, labels, strict=True)):
            number = labels[:i].count(label) + 1
            card.name_as(known[label], number)
            card.copy.disabled = bool(card.faults())
        boxes.put(self.box, self.cards)


def families() -> dict[str, str]:
    """Return the entries that add a method with classical controls, most controls first."""
    entries = sorted(method_entries().values(), key=lambda entry: -entry.n_controls)
    return {f"{entry.name} with its controls": entry.name for entry in entries if entry.n_controls}
