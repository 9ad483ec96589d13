"""Conditions under which a claim was measured, as fields that its sentence states."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.call_syntax import parse_call
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conditions:
    """Conditions of one claim; every field is required.

    Attributes:
        rate_rule: Rule by which each method has its learning rate.
        trial_seeds: Seeds whose evaluation losses chose the rates; 0 if rates are stated.
        r: Inner sizes of both methods, None where a method has none.
        alpha: Scalings of both methods.
        modules: Adapted modules of both methods.
        row_unit: Rows, and the keys over which they are averaged.
    """

    rate_rule: str
    trial_seeds: int
    r: tuple[int | None, int | None]
    alpha: tuple[float | None, float | None]
    modules: tuple[str, str]
    row_unit: str

    @classmethod
    def of(cls, comparison: Comparison, claim: Mapping[str, Any]) -> Conditions:
        """Read the conditions of a claim of a comparison.

        Args:
            comparison: Comparison of the claim.
            claim: Record of the claim (see `claims.Claim`).
        """
        sides = [_settings(claim[side], claim["model"]) for side in ("first", "second")]
        r, alpha, modules = zip(*sides, strict=True)
        return cls(*_rates(comparison, claim["seeds"]), r, alpha, modules, _rows(claim))

    @property
    def sentence(self) -> str:
        """All fields in words."""
        count = f"{self.trial_seeds} seed{'s' * (self.trial_seeds > 1)}"
        seeds = f", chosen on {count}" if self.trial_seeds else ""
        return (
            f"{self.rate_rule}{seeds}; r {_both(self.r)}; α {_both(self.alpha)};"
            f" at {_both(self.modules)}; {self.row_unit}"
        )


def _rates(comparison: Comparison, seeds: int) -> tuple[str, int]:
    """Return the rule of the rates, and the number of seeds that choose them."""
    if comparison.tuning:
        return "each at its tuned rate", len(comparison.tuning.seeds)
    if len(comparison.learning_rates) > 1:
        return f"each at its best of {len(comparison.learning_rates)} rates", seeds
    stated = {method.learning_rate for method in comparison.methods}
    if len(comparison.learning_rates) == 1 or len(stated) == 1:
        return "one shared rate", 0
    return "each at a stated rate", 0


def _settings(label: str, model: str) -> tuple[int | None, float | None, str]:
    """Return r, alpha and modules of a method from its label."""
    from qtha_lab.adapters import get_method
    from qtha_lab.models.loading import default_target_modules

    name, options = parse_call(label, "method")
    options = {key: value for key, value in options.items() if key not in ("title", "scale")}
    modules = options.pop("target_modules", None)
    try:
        modules = modules or default_target_modules(model)
    except Refusal as refusal:  # a model that is not on this machine
        log.debug("modules of %s stay unnamed: %s", label, refusal)
        modules = "the model's default"
    try:
        config = get_method(name).make_config(
            task_type="CAUSAL_LM", target_modules=["q_proj"], **options
        )
    except Refusal as refusal:  # a plugin that is not loaded
        log.debug("r and alpha of %s stay unnamed: %s", label, refusal)
        config = None
    r = getattr(config, "r", None)
    alpha = getattr(config, "lora_alpha", None) or getattr(config, "alpha", None)
    alpha = 2 * r if alpha is None and r and hasattr(config, "alpha") else alpha
    return r, alpha, modules if isinstance(modules, str) else ", ".join(sorted(modules))


def _rows(claim: Mapping[str, Any]) -> str:
    keys = claim["items"]
    rows, name = claim.get("rows") or keys, claim.get("key_name", "")
    if keys == 1:
        return "mean over rows"
    return f"{rows:,} rows of {keys:,} {name}s" if name else f"{rows:,} rows, as independent"


def _both(of: tuple[Any, Any]) -> str:
    """Return the values of both methods, once if they are equal."""
    first, second = ("–" if value is None else f"{value}" for value in of)
    return first if first == second else f"{first} against {second}"
