"""Whether a `summary.json` tells of the run in whose directory it lies, and holds the numbers that it should."""

from __future__ import annotations

import functools
import logging
import math
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import recorded
from qtha_lab.core.paths import shared_name
from qtha_lab.experiment import MethodChoice, editions

log = logging.getLogger(__name__)

NEEDED = ("trainable_parameters", "learning_rate")
SHARED = ("model", "task", "method", "seed")


def flaw(summary: dict[str, Any] | None, facts: dict[str, Any], edition: int) -> str | None:
    """Why a summary cannot be taken for a run's, in a sentence; None if it can.

    Args:
        summary: What `summary.json` holds.
        facts: The identity it should tell of.
        edition: Whose defaults its label leaves out.
    """
    if not summary:
        return "its summary.json is missing, broken or empty"
    for name in (*SHARED, "label"):
        if name in summary and not _same(name, summary[name], facts[name], edition):
            return f"its summary.json tells of another run: {name} {summary[name]!r}, not {facts[name]!r}"
    return number_flaw(summary)


def number_flaw(summary: dict[str, Any]) -> str | None:
    """Describe the first measure of a summary that is no number; None where all are."""
    for name in _numbers():
        value = summary.get(name)
        if not _is_number(value) and (name in NEEDED or value is not None):
            return f"its summary.json has no number as {name}"
    return None


@functools.cache
def _numbers() -> tuple[str, ...]:
    return (*NEEDED, *recorded())


def _same(name: str, value: Any, expected: Any, edition: int) -> bool:
    """Whether two values mean the same; a label may give its options in another order."""
    if name in ("model", "task") and isinstance(value, str):
        return shared_name(value) == shared_name(expected)
    if value == expected or name != "label":
        return value == expected
    try:
        return editions.as_meant(MethodChoice.parse(value), edition) == MethodChoice.parse(expected)
    except (Refusal, TypeError, AttributeError) as reason:
        log.debug("label %r is of no method known here: %s", value, reason)
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
