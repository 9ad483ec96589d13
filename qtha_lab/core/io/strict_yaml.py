"""Parser of YAML of unknown origin, by the rules of YAML 1.2.

Numbers, true and false are converted; everything else is text, so `yes`, `1:30` and `010` are not
numbers. Repeated keys, aliases, tags and deep nesting are refused with their line.
PyYAML follows YAML 1.1, keeps the last of repeated keys, and limits no depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from qtha_lab.core.errors import Refusal

DEEPEST = 8
FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,400})")
WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document(NamedTuple):
    """Parsed value and the line of each key path, such as `training.steps` or `methods[0]`."""

    value: Any
    lines: dict[str, int]


def parse_yaml(text: str) -> Document:
    """Parse the only YAML document in a text.

    Raises:
        Refusal: With the line, where one is known.

    Example:
        >>> parse_yaml("steps: 1e2\\nname: yes\\n").value
        {'steps': 100.0, 'name': 'yes'}
        >>> parse_yaml("steps: 500\\nsteps: 5")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Line 2: steps must be given once, got it twice.
    """
    try:
        return _Reader(text).document()
    except yaml.YAMLError as problem:
        place = getattr(problem, "problem_mark", None)
        rule = getattr(problem, "problem", None) or getattr(problem, "reason", "")
        raise Refusal(
            f"{f'Line {place.line + 1}: ' if place else ''}The text must be YAML, got: {rule}."
        ) from None
    except UnicodeEncodeError:
        raise Refusal("The text must be valid Unicode, got a lone surrogate.") from None


def _scalar(text: str) -> Any:
    """Convert an unquoted scalar to its value."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    return text


class _Reader:
    """Builder of the value from the events of the parser, one at a time."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=PARSER)
        self.lines: dict[str, int] = {}

    def document(self) -> Document:
        value, count = None, 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                count += 1
                if count > 1:
                    raise _at(event, "the text must be one document, got a second.")
                value = self.value(next(self.events), "", 0)
        return Document(value, self.lines)

    def value(self, event: yaml.Event, place: str, depth: int) -> Any:
        self.lines[place] = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, f"values must be written out, got the alias *{event.anchor}.")
        if (tag := getattr(event, "tag", None)) is not None:
            raise _at(
                event, f"a value must have no tag, got {tag.replace('tag:yaml.org,2002:', '!!')}."
            )
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if depth == DEEPEST:
            raise _at(event, f"settings must be nested at most {DEEPEST} levels deep, got more.")
        kind = self.mapping if isinstance(event, yaml.MappingStartEvent) else self.sequence
        return kind(place, depth + 1)

    def mapping(self, place: str, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _at(event, "the name of a setting must be a word, got a list or mapping.")
            if event.value in fields:
                raise _at(event, f"{event.value:.40} must be given once, got it twice.")
            inner = f"{place}.{event.value}" if place else event.value
            fields[event.value] = self.value(next(self.events), inner, depth)
            self.lines[inner] = event.start_mark.line + 1
        return fields

    def sequence(self, place: str, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            values.append(self.value(event, f"{place}[{len(values)}]", depth))
        return values


def _at(event: yaml.Event, rule: str) -> Refusal:
    return Refusal(f"Line {event.start_mark.line + 1}: {rule}")
