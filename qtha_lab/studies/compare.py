"""Comparison in one call: `qtha_lab.compare(methods="lora,qtha", seeds=[0, 1])`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtha_lab.experiment import Comparison, MethodChoice
from qtha_lab.studies import comparison
from qtha_lab.studies.launch import launch

Methods = Comparison | str | Sequence[MethodChoice | dict[str, Any] | str]


class Compare:
    """Callable that runs a comparison; its attributes are functions of `studies.comparison`."""

    attach = staticmethod(comparison.ComparisonStudy.find)
    findings = staticmethod(comparison.findings)
    report = staticmethod(comparison.report)
    rows = staticmethod(comparison.rows)
    run = staticmethod(comparison.run_comparison)
    summarise = staticmethod(comparison.summarise_runs)

    def __call__(
        self, methods: Methods = "lora,qtha", out: Path | str | None = None, **settings: Any
    ) -> comparison.ComparisonStudy:
        """Launch all runs of a comparison and return at once.

        Example:
            >>> compare("lora,qtha", steps=0)
            Traceback (most recent call last):
            qtha_lab.experiment.validated_model.FieldError: training.steps must be at least 1, got 0
        """
        if not isinstance(methods, Comparison):
            methods = Comparison(methods=methods, **settings)
        return launch(methods, out)


compare = Compare()
