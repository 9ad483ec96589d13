"""Graders of an object with required properties, and of an explanation."""

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtha_lab.core.errors import describe_error
from qtha_lab.lessons import guard
from qtha_lab.lessons.grading import WrongAnswer, refuse_replaced

Property = tuple[Callable[[Any], bool], str]
WORDS = range(12, 201)  # of an explanation
LENGTH = f"a text of {WORDS[0]} to {WORDS[-1]} words is expected"


def is_explanation(answer: Any) -> bool:
    """Return True for a text of some sentences."""
    return isinstance(answer, str) and len(answer.split()) in WORDS


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
class WrittenAnswer(Construction):
    """Grader of a text: its length is checked; the reader grades its content.

    Attributes:
        rubric: Points that a complete text makes, to be ticked.
        model_answer: Text that makes all of them.
    """

    properties: tuple[Property, ...] = ((is_explanation, LENGTH),)
    rubric: tuple[str, ...] = ()
    model_answer: str = ""


for _grader in (Construction, WrittenAnswer):
    guard.protect(_grader)
