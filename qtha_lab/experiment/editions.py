"""What a description meant when it was written: the defaults that have changed since.

A description leaves out what is at its default, so a recorded one names the `edition` whose defaults it
counts on. Runs recorded before there was one are of the first. A description that a person writes
without an edition counts on today's defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.experiment.experiment import Experiment, MethodChoice, MethodsAndSeeds

FIRST = 1
EDITION = 4
SCALED = 3  # since when a comparison gives all its methods one scale
TESTED = 3  # since when a task keeps rows apart that no run trains on, for the test
# By the edition that changed them: what an option of a method means today, by what was said then; None is nothing.
_BEFORE = {
    2: {"qtha": {"init": {None: "paper", "balanced": "isometric"}}},
    4: {"qtha": {"waist": {None: 256}}},  # which also gives r and bond_dim their former 8
}


def record(described: Experiment | MethodsAndSeeds) -> str:
    """The YAML of a description with the edition whose defaults it leaves out."""
    return f"edition: {EDITION}\n{described.to_yaml()}"


def is_marked(text: str) -> bool:
    """Whether a recorded description says its edition."""
    return text.startswith("edition:")


def recorded(text: str) -> int:
    r"""The edition that a recorded description says, the first where it says none.

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
    """A method in today's words.

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
