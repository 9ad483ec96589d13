"""Facts of a family: a sentence and the function that checks it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Broken(Exception):  # noqa: N818  message is the observation
    """Exception for a fact that does not hold; the message is the observation."""


@dataclass(frozen=True)
class Fact:
    """Sentence that holds for every member of a family, and its check."""

    sentence: str
    trial: Callable[[Any], None]


FACTS: dict[str, list[Fact]] = {}


def fact(kind: str, sentence: str) -> Callable:
    """Declare the decorated function as the check of a fact about members of a kind."""

    def register(trial: Callable[[Any], None]) -> Callable[[Any], None]:
        FACTS.setdefault(kind, []).append(Fact(sentence, trial))
        return trial

    return register


def expect(holds: bool, observation: str) -> None:
    """Raise `Broken` unless the condition holds.

    Raises:
        Broken: With the observation.
    """
    if not holds:
        raise Broken(observation)


def expect_text(member: Any, *names: str) -> None:
    """Expect text in attributes of a member."""
    for name in names:
        expect(bool(getattr(member, name).strip()), f"its {name} is empty")
