"""Recorded singular values of a run, read from its events; loads no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from qtha_lab.analysis.updates.spectrum import Spectrum
from qtha_lab.core.errors import Refusal


class RunWithSpectra(Protocol):
    """Run with recorded events, such as `qtha_lab.launch` returns."""

    def valid_events(self) -> Iterable[Mapping[str, Any]]:
        """Return the recorded events."""
        ...


def spectrum(run: RunWithSpectra) -> dict[str, Spectrum]:
    """Return the last recorded singular values of a run's weight update, by layer.

    Only the linear path is recorded; `shape` counts the recorded values.

    Raises:
        Refusal: If the run has recorded none.

    Example:
        >>> run = qtha_lab.list_runs()[0]  # doctest: +SKIP
        >>> spectrum(run)["model.layers.0.self_attn.q_proj"].effective_rank  # doctest: +SKIP
        1.7
    """
    records = [event for event in run.valid_events() if event["kind"] == "spectrum"]
    if not records:
        raise Refusal(
            "A run must have recorded singular values, got none. "
            "spectrum_every above 0 records them."
        )
    layers = {name: _values(of) for name, of in records[-1].get("layers", {}).items()}
    return {
        name: Spectrum(values, (len(values), len(values)), float(np.linalg.norm(values)))
        for name, values in layers.items()
    }


def _values(record: Any) -> np.ndarray:
    values = record["singular_values"] if isinstance(record, Mapping) else record
    return np.sort(np.array([value or 0.0 for value in values]))[::-1]
