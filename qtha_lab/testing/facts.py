"""A fact of a family: a sentence and the function that tries it; `Broken` says what was seen instead."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Broken(Exception):  # noqa: N818  what was seen, in words
    """A fact does not hold; its text is what was seen instead."""


@dataclass(frozen=True)
class Fact:
    """A sentence that holds for every member of a family, and what tries it on one."""

    sentence: str
    trial: Callable[[Any], None]


FACTS: dict[str, list[Fact]] = {
    "method": [],
    "ansatz": [],
    "task": [],
    "figure": [],
    "engine": [],
    "gate": [],
}


def fact(kind: str, sentence: str) -> Callable:
    """Declare the function below as the trial of a fact about members of a kind."""

    def register(trial: Callable[[Any], None]) -> Callable[[Any], None]:
        FACTS[kind].append(Fact(sentence, trial))
        return trial

    return register


def expect(holds: bool, observation: str) -> None:
    """Go on if it holds.

    Raises:
        Broken: With what was seen.
    """
    if not holds:
        raise Broken(observation)
