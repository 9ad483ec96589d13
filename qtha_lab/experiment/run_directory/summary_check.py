"""Facts of a run for its summary, and the check of both."""

from __future__ import annotations

import logging
import math
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import recorded
from qtha_lab.core.paths import shared_name
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.run_directory.files import RunDir

log = logging.getLogger(__name__)

NEEDED = ("trainable_parameters", "learning_rate")
SHARED = ("model", "task", "method", "seed")


def facts(run: RunDir) -> dict[str, Any]:
    """Return the facts that summaries state of a run, from its directory and description."""
    experiment, method = run.experiment, run.experiment.method
    return {
        "run_id": run.path.name,
        "model": experiment.model,
        "task": experiment.task,
        "task_options": experiment.task_options,
        "method": method.name,
        "label": method.label,
        "seed": experiment.seed,
        "options": method.options,
        "target_modules": method.target_modules,
        "quantization": experiment.quantization,
        "head": experiment.head,
    }


def flaw(summary: dict[str, Any] | None, stated: dict[str, Any]) -> str | None:
    """Describe why a summary does not belong to a run; None if it does."""
    if not summary:
        return "its summary.json is missing, broken or empty"
    for name in (*SHARED, "label"):
        if name in summary and not _same(name, summary[name], stated[name]):
            return (
                f"its summary.json belongs to another run: {name} is {summary[name]!r:.60}, "
                f"not {stated[name]!r:.60}"
            )
    return number_flaw(summary)


def number_flaw(summary: dict[str, Any]) -> str | None:
    """Describe a summary's first non-numeric measure; None if all are numbers."""
    for name in _numbers():
        value = summary.get(name)
        if not _is_number(value) and (name in NEEDED or value is not None):
            return f"its summary.json has no number as {name}"
    return None


def _numbers() -> tuple[str, ...]:
    return (*NEEDED, *recorded())


def _same(name: str, value: Any, expected: Any) -> bool:
    """Compare two values by meaning; labels may state their options in any order."""
    if name in ("model", "task") and isinstance(value, str):
        return shared_name(value) == shared_name(expected)
    if value == expected or name != "label":
        return value == expected
    try:
        return MethodChoice.parse(value) == MethodChoice.parse(expected)
    except (Refusal, TypeError, AttributeError) as reason:
        log.debug("label %r is of no method known here: %s", value, reason)
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
