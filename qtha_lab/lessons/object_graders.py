"""Graders of an object with required properties, of lettered sentences, and of an explanation."""

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtha_lab.core.errors import describe_error
from qtha_lab.lessons import guard
from qtha_lab.lessons.grading import WrongAnswer, refuse_replaced, short_text

Property = tuple[Callable[[Any], bool], str]
FEWEST_WORDS, MOST_WORDS = 12, 200  # of an explanation


@dataclass(frozen=True)
class Construction:
    """Grader of an object: every property must hold, in order.

    Attributes:
        properties: Pairs of a predicate and the reason for an answer without that property. The
            first tells the kind of object: an error in it is one of the answer. An error in a
            further one is reported as such.

    Example:
        >>> even = Construction(((lambda value: value % 2 == 0, "an odd number is no multiple"),))
        >>> even.check(3)
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: an odd number is no multiple
    """

    properties: tuple[Property, ...]

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` with the reason of the first missing property."""
        if reason := self._first_fault(answer):
            raise WrongAnswer(reason)

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Return True if both lack the same property first."""
        return self._first_fault(answer) == self._first_fault(mistake)

    def right_values(self) -> list[float]:
        """Return the values that no message may reveal: none, since many objects are right."""
        return []

    def with_constants(self, constants: Mapping[str, float]) -> "Construction":
        """Return the grader with constants in predicates and reasons that name them."""
        return Construction(
            tuple(
                (_bound(holds, constants), filled(reason, constants))
                for holds, reason in self.properties
            )
        )

    def _first_fault(self, answer: Any) -> str | None:
        answer = _detached(answer)
        for place, (holds, reason) in enumerate(self.properties):
            try:
                has_property = holds(copy.deepcopy(answer))
            except Exception as error:
                has_property = False
                reason = f"its check stops with {describe_error(error)}" if place else reason
            refuse_replaced()
            if not has_property:
                return reason
        return None


def _detached(answer: Any) -> Any:
    """Return an answer without the gradients of its tensors, which cannot be copied."""
    if type(answer) in (list, tuple):
        return type(answer)(map(_detached, answer))
    is_tensor = type(answer).__module__.startswith("torch") and hasattr(answer, "detach")
    return answer.detach() if is_tensor else answer


def _bound(holds: Callable[..., bool], constants: Mapping[str, float]) -> Callable[[Any], bool]:
    names = inspect.signature(holds).parameters
    return partial(holds, **{name: constants[name] for name in constants if name in names})


def filled(text: str, constants: Mapping[str, float]) -> str:
    """Return a text with the values of its constants.

    Args:
        text: Text or code; other braces stay.
        constants: Value of each name.

    Example:
        >>> filled("{n:,} of {m} in {braces}", {"n": 1024, "m": 0.5})
        '1,024 of 0.5 in {braces}'
    """
    name = rf"\{{({'|'.join(constants)})(:,)?\}}"
    return re.sub(
        name, lambda m: format(constants[m[1]], ",g" if m[2] else "g") if m[1] else m[0], text
    )


@dataclass(frozen=True)
class Selection:
    """Grader of a set of letters, written as a string such as "ad".

    Attributes:
        right: Letters of the right selection.
        reasons: For every offered letter, the reason why it is wrong to choose or to omit it.

    Example:
        >>> Selection("a", {"a": "a is true", "b": "b needs a control"}).check("ab")
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: b is not part of the answer: b needs a control
    """

    right: str
    reasons: dict[str, str]

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` with the reason of the first letter that is wrong."""
        chosen = self._letters(answer)
        for letter in self.reasons:
            if (letter in chosen) != (letter in self.right):
                raise WrongAnswer(self.reason_of(letter))

    def reason_of(self, letter: str) -> str:
        """Return the sentence for an answer that is wrong about a letter."""
        part = "is missing" if letter in self.right else "is not part of the answer"
        return f"{letter} {part}: {self.reasons[letter]}"

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Return True if both are the same selection."""
        return self._letters(answer) == self._letters(mistake)

    def right_values(self) -> list[float]:
        """Return the values that no message may reveal: none, since letters are no numbers."""
        return []

    def _letters(self, answer: Any) -> set[str]:
        try:
            chosen = set("".join(answer).lower()) - set(" ,;")
        except TypeError:
            chosen = set()
        if not chosen or not chosen <= set(self.reasons):
            offered = ", ".join(self.reasons)
            raise WrongAnswer(f'some of the letters {offered} are expected, such as "{offered[0]}"')
        return chosen


@dataclass(frozen=True)
class Explanation:
    """Grader of a text: its length is checked here, its content by the reader or a person.

    Attributes:
        rubric: Points that a complete text makes, to be ticked.
        model_answer: Text that makes all of them.

    Example:
        >>> Explanation(("names the rate",), "At 0.03 …").check("It is better.")
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: a text of 12 to 200 words is expected, not 3 words
    """

    rubric: tuple[str, ...]
    model_answer: str

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` unless the answer is a text of some sentences."""
        words = f"a text of {FEWEST_WORDS} to {MOST_WORDS} words is expected, not"
        if not isinstance(answer, str):
            raise WrongAnswer(f"{words} {short_text(answer)}")
        if not FEWEST_WORDS <= len(answer.split()) <= MOST_WORDS:
            raise WrongAnswer(f"{words} {len(answer.split())} words")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Return True if both are the same text."""
        return answer == mistake

    def right_values(self) -> list[float]:
        """Return the values that no message may reveal: none, since a text has no value."""
        return []


for _grader in (Construction, Selection, Explanation):
    guard.protect(_grader)
