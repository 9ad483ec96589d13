"""Recorded comparisons that the lessons read: losses, curves and bottleneck statistics.

`data/extract_recordings.py` makes the files in `recorded/` from the packed runs of `data/results`.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import load_arrays, parse_json
from qtha_lab.core.settings import unknown
from qtha_lab.figures.difference_by_rate import RateDifference
from qtha_lab.studies.comparison.claims import SharedRate
from qtha_lab.studies.comparison.paired import PairedDifference, paired_difference

FOLDER = Path(__file__).with_name("recorded")
STATISTICS = ("angle_std", "beyond_pi", "constant_part", "branch_power")
"""Columns of bottleneck statistics; see `BottleneckFacts`."""


@dataclass(frozen=True)
class RecordedRun:
    """One recorded run of a comparison.

    Attributes:
        method: Label of the method without its learning rate, such as "lora(r=8)".
        learning_rate: Learning rate of the adapter.
        seed: Seed of initial values and batches.
        trainable_parameters: Number of trained parameters.
        train_loss: Mean training loss of the last ten steps, in nats.
        eval_loss: Loss on the evaluation rows after the last step, in nats.
        test_loss: Loss on the test rows, in nats.
        steps: Steps of the evaluations.
        curve: Loss at each evaluation, in nats.
        rows: Contribution of each test row to the test loss, which is their mean.
        bottlenecks: Statistics of each layer's circuit by step; columns as in `STATISTICS`.
    """

    method: str
    learning_rate: float
    seed: int
    trainable_parameters: int
    train_loss: float
    eval_loss: float
    test_loss: float
    steps: tuple[int, ...]
    curve: np.ndarray
    rows: np.ndarray
    bottlenecks: dict[int, np.ndarray]


@dataclass(frozen=True)
class RecordedComparison:
    """A recorded comparison with all its runs.

    Attributes:
        name: Name of the comparison, as in `data/results`.
        model: Name of the base model.
        task: Name of the task.
        runs: All runs.
        fingerprint: SHA-256 of the packed runs that the extract was made from.
        commit: Commit of qtha-lab that trained the first run.
        layers: Names of the layers in `bottlenecks`.
        keys: Number of each test row's split key.
        key_name: Name of one key.
        weights: Labels of each test row over their mean.
    """

    name: str
    model: str
    task: str
    runs: tuple[RecordedRun, ...]
    fingerprint: str
    commit: str
    layers: tuple[str, ...]
    keys: np.ndarray
    key_name: str
    weights: np.ndarray

    def __repr__(self) -> str:
        return (
            f"{self.name}: {len(self.runs)} recorded runs of {len(self.methods)} methods on"
            f" {self.model} and {self.task}, commit {self.commit[:8]}"
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Labels of the methods, in the order of the comparison."""
        return tuple(dict.fromkeys(run.method for run in self.runs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds, in ascending order."""
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def learning_rates(self) -> tuple[float, ...]:
        """Learning rates, in ascending order."""
        return tuple(sorted({run.learning_rate for run in self.runs}))

    def of(self, method: str, learning_rate: float | None = None) -> list[RecordedRun]:
        """Return the runs of a method, by rate and seed.

        Args:
            method: Label of the method.
            learning_rate: Only this rate; None takes all.

        Raises:
            Refusal: If there is no such method or rate.
        """
        if method not in self.methods:
            raise unknown("method", method, self.methods)
        of_method = [run for run in self.runs if run.method == method]
        chosen = [r for r in of_method if learning_rate in (None, r.learning_rate)]
        if not chosen:
            rates = ", ".join(f"{rate:g}" for rate in sorted({r.learning_rate for r in of_method}))
            raise Refusal(f"learning_rate must be one of {rates}, got {learning_rate}.")
        return sorted(chosen, key=lambda run: (run.learning_rate, run.seed))

    def best_rate(self, method: str) -> float:
        """Return the learning rate of a method with the lowest mean evaluation loss."""
        runs = self.of(method)
        rates = sorted({run.learning_rate for run in runs})
        means = [
            np.mean([run.eval_loss for run in runs if run.learning_rate == rate]) for rate in rates
        ]
        return rates[int(np.argmin(means))]

    def row_losses(self, method: str, learning_rate: float | None = None) -> np.ndarray:
        """Return test losses per seed and row, of shape (seeds, rows), seeds ascending.

        Args:
            method: Label of the method.
            learning_rate: Learning rate; None takes the best one.
        """
        rate = self.best_rate(method) if learning_rate is None else learning_rate
        return np.stack([run.rows for run in self.of(method, rate)])

    def difference(
        self, first: str, second: str, learning_rate: float | None = None, claims: int = 1
    ) -> PairedDifference:
        """Return the paired difference of test losses, the first method minus the second.

        Args:
            first: Label of the first method.
            second: Label of the second method.
            learning_rate: Rate of both methods; None takes each at its own best rate.
            claims: Number of claims whose intervals hold simultaneously with 95 %.
        """
        losses = [self.row_losses(method, learning_rate) for method in (first, second)]
        rows = {"keys": self.keys, "weights": self.weights, "key_name": self.key_name}
        return paired_difference(*losses, **rows, claims=claims)

    def at_shared_rates(self, pairs: Mapping[tuple[str, str], str]) -> list[RateDifference]:
        """Return the differences of pairs at each learning rate, for `figures.difference_by_rate`.

        Args:
            pairs: Name of each pair of methods in the figure; the second is subtracted.
        """
        return [
            SharedRate(pair, rate, self.difference(*pair, rate)).row(label)
            for pair, label in pairs.items()
            for rate in self.learning_rates
        ]


def recorded(name: str) -> RecordedComparison:
    """Return a recorded comparison.

    Args:
        name: Name of the comparison, such as "smollm2-qa".

    Raises:
        Refusal: If there is no recording of that name.

    Example:
        >>> runs = recorded("smollm2-qa")
        >>> runs.model, len(runs.runs), runs.best_rate("lora(r=8)")
        ('smollm2-135m', 72, 0.003)
    """
    names = recording_names()
    if name not in names:
        raise unknown("recording", name, names)
    return _load(name)


def recording_names() -> list[str]:
    """Return the names of all recorded comparisons."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


@functools.lru_cache(maxsize=8)
def _load(name: str) -> RecordedComparison:
    arrays = load_arrays(FOLDER / f"{name}.npz")
    about = parse_json(arrays["about"].tobytes().decode())
    rows = arrays["rows"] * arrays["rows_step"]
    runs = tuple(_run(number, about, arrays, rows[number]) for number in range(len(rows)))
    texts = ("name", "model", "task", "fingerprint", "commit", "key_name")
    labels = arrays["labels"]
    return RecordedComparison(
        **{name: about[name] for name in texts},
        runs=runs,
        layers=tuple(about["layers"]),
        keys=arrays["keys"],
        weights=labels / labels.mean(),
    )


def _run(
    number: int, about: dict[str, Any], arrays: dict[str, np.ndarray], rows: np.ndarray
) -> RecordedRun:
    measured = np.flatnonzero(arrays["bottleneck_runs"] == number)
    steps = arrays["bottleneck_steps"][measured]
    of_steps = arrays["bottlenecks"][measured].astype(np.float32)
    return RecordedRun(
        method=about["methods"][arrays["method"][number]],
        learning_rate=float(arrays["learning_rate"][number]),
        seed=int(arrays["seed"][number]),
        trainable_parameters=int(arrays["trainable_parameters"][number]),
        **{key: float(arrays[key][number]) for key in ("train_loss", "eval_loss", "test_loss")},
        steps=_steps(about["steps"]),
        curve=arrays["curves"][number],
        rows=rows,
        bottlenecks={int(step): table for step, table in zip(steps, of_steps, strict=True)},
    )


def _steps(steps: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int, steps))
