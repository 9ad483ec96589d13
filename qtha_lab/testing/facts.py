"""Facts of a family: a sentence and the function that checks it."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting


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


log = logging.getLogger(__name__)

Signature = Callable[[dict[str, Any]], Any]
ELSEWHERE = ("engine", "start_rows", "angles")  # act on speed, on rows, or on a given circuit
MOST_CHOICES = 6


def expect_effect(
    settings: Mapping[str, Setting], examples: Iterable[Mapping[str, Any]], signature: Signature
) -> None:
    """Expect that some value of every setting changes a member.

    A setting that acts only beside another one is tried beside each of its choices. Texts without
    choices are not tried.

    Args:
        settings: Settings of the member.
        examples: Options from which a setting is changed.
        signature: Returns nested tensors and values of the member with some options.

    Raises:
        Broken: With the settings that change nothing.
    """
    seen: dict[str, Any] = {}

    def sign(options: dict[str, Any]) -> Any:
        key = repr(sorted(options.items(), key=str))
        if key not in seen:
            try:
                seen[key] = signature(options)
            except Refusal as refused:
                seen[key] = refused
        return seen[key]

    idle = [
        name
        for name, declared in settings.items()
        if name not in ELSEWHERE and _is_idle(declared, settings, examples, sign)
    ]
    expect(not idle, f"{', '.join(idle)} must change something, but no value does")


def _is_idle(
    declared: Setting,
    settings: Mapping[str, Setting],
    examples: Iterable[Mapping[str, Any]],
    sign: Signature,
) -> bool:
    compared = False
    for options in _beside(settings, examples, declared.name):
        before = sign(options)
        if isinstance(before, Refusal):
            continue
        for value in _other_values(declared, options.get(declared.name, declared.default)):
            after = sign(options | {declared.name: value})
            if isinstance(after, Refusal):
                continue
            if not are_equal(before, after):
                return False
            compared = True
    return compared


def _beside(
    settings: Mapping[str, Setting], examples: Iterable[Mapping[str, Any]], name: str
) -> Iterator[dict[str, Any]]:
    """Yield the examples, then the examples with one other choice each."""
    examples = [dict(example) for example in examples]
    yield from examples
    for other, declared in settings.items():
        if other != name and other not in ELSEWHERE and (declared.choices or declared.type is bool):
            for example in examples:
                for value in _other_values(declared, example.get(other, declared.default)):
                    yield example | {other: value}


def _other_values(declared: Setting, value: Any) -> list[Any]:
    if declared.type is bool:
        return [not value]
    if declared.choices:
        return [choice for choice in declared.choices if choice != value][:MOST_CHOICES]
    if declared.type not in (int, float):
        return []
    near = 1 if value is None else value
    numbers = [near * 2, near + 1, near / 2, near - 1, 0.5]
    candidates = map(int, numbers) if declared.type is int else map(float, numbers)
    return [
        number
        for number in dict.fromkeys(candidates)
        if number != value and _fits(declared, number)
    ]


def _fits(declared: Setting, value: Any) -> bool:
    try:
        declared.check(value)
    except Refusal as reason:
        log.debug("%s does not fit: %s", value, reason)
        return False
    return True


def are_equal(first: Any, second: Any) -> bool:
    """Return True for equal nested values, tensors bit for bit."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.shape == second.shape and torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(are_equal(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(are_equal, first, second))
    return type(first) is type(second) and first == second
