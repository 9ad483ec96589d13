"""Run log of an arm: steps, evaluations and end as events of a run directory."""

from __future__ import annotations

import time
from collections.abc import Iterator

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog


class Stopped(Exception):  # noqa: N818
    """Exception for a requested stop of the run."""


class Log:
    """Log of one arm with one seed.

    Args:
        files: Run directory, whose `stop` file ends the run at its next step.
        events: Event log to write to.
        steps: Number of steps.

    Example:
        >>> for step in log.course():  # doctest: +SKIP
        ...     loss = train_once()
        ...     log.train(step, loss=loss)
    """

    def __init__(
        self, files: RunDir, events: EventLog, steps: int, rate_factor: float = 1.0
    ) -> None:
        self.steps, self.step = steps, 0
        self._rate_factor = rate_factor
        self.facts: dict[str, float] = {}
        self._files, self._events = files, events
        self._since = time.monotonic()

    def course(self) -> Iterator[int]:
        """Yield the step numbers, from 1."""
        yield from range(1, self.steps + 1)

    def rate(self, declared: float) -> float:
        """Return the learning rate to use in place of a declared one.

        Args:
            declared: Learning rate of the arm.
        """
        return float(f"{self._rate_factor * declared:.3g}")

    def train(self, step: int, loss: float, **numbers: float) -> None:
        """Record a training step.

        Args:
            step: Number of the step.
            loss: Loss or other minimised cost of this step.
            **numbers: Further values, such as `learning_rate` or `grad_norm`.

        Raises:
            Stopped: If a stop was requested.
        """
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        self.step = step
        self._events.append(
            "train", step=step, loss=float(loss), seconds=seconds, **_plain(numbers)
        )
        self.look()

    def evaluate(self, step: int, loss: float | None = None, **numbers: float) -> None:
        """Record an evaluation.

        The loss at step 0 is the initial loss, that of the last evaluation the run's result.

        Args:
            step: Number of steps before the evaluation.
            loss: Loss on held-out data, if any.
            **numbers: Measurements by name, such as `accuracy` or `rmse`.

        Raises:
            Stopped: If a stop was requested.
        """
        value = None if loss is None else float(loss)
        self._events.append("eval", step=step, loss=value, **_plain(numbers))
        self._since = time.monotonic()
        self.look()

    def test(self, loss: float, **numbers: float) -> None:
        """Record the single test of the trained arm, on data used for no choice.

        Args:
            loss: Loss on test data.
            **numbers: Such as `accuracy`; `train_loss` on as many training rows yields the gap.
        """
        self._events.append("test", step=self.steps, loss=float(loss), **_plain(numbers))

    def note(self, message: str) -> None:
        """Record a message about the run."""
        self._events.append("note", step=self.step, message=message)

    def end(
        self, *, trainable_parameters: int, learning_rate: float = 0.0, **measures: float
    ) -> None:
        """Record the results of the run besides its last evaluation and its test.

        Args:
            trainable_parameters: Number of trained parameters.
            learning_rate: Peak learning rate; 0 for an arm without one.
            **measures: Further measurements that claims use.
        """
        self.facts = {
            "trainable_parameters": int(trainable_parameters),
            "learning_rate": float(learning_rate),
            **_plain(measures),
        }

    def close(self) -> dict[str, float]:
        """Return the results that `end` recorded.

        Raises:
            Refusal: If `end` was not called.
        """
        if not self.facts:
            raise Refusal("The arm has no results. Call log.end(trainable_parameters=…).")
        return self.facts

    def look(self) -> None:
        """Raise `Stopped` on a stop request; for work without recorded steps.

        Raises:
            Stopped: If a stop was requested.
        """
        if self._files.stop.exists():
            raise Stopped


def _plain(numbers: dict[str, float]) -> dict[str, float]:
    """Convert numbers of numpy and torch to Python numbers; integers stay integers."""
    return {
        name: value if isinstance(value, int) else float(value) for name, value in numbers.items()
    }
