"""Editions of descriptions: the defaults that changed since a description was recorded.

A description omits values at their default, so a recorded one states the `edition` of these
defaults. A recorded description without an edition has the first edition. A description written by
a user without an edition has the present edition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.experiment.experiment import Experiment, MethodChoice, MethodsAndSeeds

FIRST = 1
EDITION = 4
SCALED = 3  # since this edition, a comparison gives all its methods one scale
TESTED = 3  # since this edition, a task has test rows that no run trains on
# By edition of a change: an option's present value by its former one; None is an omitted option.
_BEFORE = {
    2: {"qtha": {"init": {None: "paper", "balanced": "isometric"}}},
    4: {"qtha": {"waist": {None: 256}}},  # also gives r and bond_dim their former value 8
}


def record(described: Experiment | MethodsAndSeeds) -> str:
    """Convert a description to YAML with the present edition."""
    return f"edition: {EDITION}\n{described.to_yaml()}"


def is_marked(text: str) -> bool:
    """Report if a recorded description states its edition."""
    return text.startswith("edition:")


def recorded(text: str) -> int:
    r"""Return the edition of a recorded description; the first edition if none is stated.

    Example:
        >>> recorded("edition: 2\nmodel: tiny\n"), recorded("model: tiny\n")
        (2, 1)
    """
    line, _, _ = text.partition("\n")
    return int(line.removeprefix("edition:")) if is_marked(text) else FIRST


def checked(edition: int) -> int:
    """Refuse an edition that does not exist."""
    if isinstance(edition, bool) or edition not in range(FIRST, EDITION + 1):
        raise Refusal(
            f"edition must be from {FIRST} to {EDITION}, not {edition!r}: "
            "a newer qtha-lab wrote this description, or it is damaged"
        )
    return edition


def as_meant(choice: MethodChoice, edition: int) -> MethodChoice:
    """Convert a method of an older edition to the present defaults.

    Example:
        >>> from qtha_lab.experiment import MethodChoice
        >>> as_meant(MethodChoice.parse("qtha(r=4)"), edition=1).label
        'qtha(r=4,waist=256,init=paper)'
        >>> as_meant(MethodChoice.parse("qtha(r=4)"), edition=4).label
        'qtha(r=4)'
    """
    options = dict(choice.options)
    for changed, before in sorted(_BEFORE.items()):
        if edition < changed:
            for name, today in before.get(choice.name, {}).items():
                if (value := options.get(name)) in today:
                    options[name] = today[value]
    return choice.replace(options=options)
