"""What an arm tells while it runs: steps, evaluations and the end, as events of an ordinary run directory."""

from __future__ import annotations

import time
from collections.abc import Iterator

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog


class Stopped(Exception):  # noqa: N818
    """The run was asked to stop."""


class Log:
    """The log of one arm with one seed.

    Args:
        files: The run's directory, whose `stop` file ends the run at its next step.
        events: Takes the events.
        steps: How many there will be.

    Example:
        >>> for step in log.course():  # doctest: +SKIP
        ...     loss = train_once()
        ...     log.train(step, loss=loss)
    """

    def __init__(self, files: RunDir, events: EventLog, steps: int) -> None:
        self.steps, self.step = steps, 0
        self.facts: dict[str, float] = {}
        self._files, self._events = files, events
        self._since = time.monotonic()

    def course(self) -> Iterator[int]:
        """The steps, from 1 on."""
        yield from range(1, self.steps + 1)

    def train(self, step: int, loss: float, **numbers: float) -> None:
        """A step was taken.

        Args:
            step: Its number.
            loss: Of this step, any cost that is brought down.
            **numbers: More of it, such as `learning_rate`, `grad_norm`.

        Raises:
            Stopped: If the run was asked to stop.
        """
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        self.step = step
        self._events.append(
            "train", step=step, loss=float(loss), seconds=seconds, **_plain(numbers)
        )
        self.look()

    def evaluate(self, step: int, loss: float | None = None, **numbers: float) -> None:
        """The arm was evaluated; of one at step 0 the loss is the start's, of the last one the run's.

        Args:
            step: After so many steps.
            loss: On held-out data, where there is one.
            **numbers: Measures by name, such as `accuracy`, `rmse`.

        Raises:
            Stopped: If the run was asked to stop.
        """
        value = None if loss is None else float(loss)
        self._events.append("eval", step=step, loss=value, **_plain(numbers))
        self._since = time.monotonic()
        self.look()

    def test(self, loss: float, **numbers: float) -> None:
        """The trained arm was tested, once, on data that nothing was chosen on.

        Args:
            loss: On test data.
            **numbers: Such as `accuracy`; `train_loss` on as many rows of training gives the gap.
        """
        self._events.append("test", step=self.steps, loss=float(loss), **_plain(numbers))

    def note(self, message: str) -> None:
        """Something that a person should know of the run."""
        self._events.append("note", step=self.step, message=message)

    def end(
        self, *, trainable_parameters: int, learning_rate: float = 0.0, **measures: float
    ) -> None:
        """What the run came to, beside its last evaluation and its test.

        Args:
            trainable_parameters: How many numbers were trained.
            learning_rate: At its peak; 0 of an arm that has none.
            **measures: Any more numbers that a claim is about.
        """
        self.facts = {
            "trainable_parameters": int(trainable_parameters),
            "learning_rate": float(learning_rate), **_plain(measures),
        }  # fmt: skip

    def close(self) -> dict[str, float]:
        """What `end` was told.

        Raises:
            Refusal: If it was told nothing.
        """
        if not self.facts:
            raise Refusal("an arm must say what it came to: call log.end(trainable_parameters=…)")
        return self.facts

    def look(self) -> None:
        """Whether to go on: for work that tells no step.

        Raises:
            Stopped: If the run was asked to stop.
        """
        if self._files.stop.exists():
            raise Stopped


def _plain(numbers: dict[str, float]) -> dict[str, float]:
    """Numbers of numpy and torch as Python's; a whole one stays whole."""
    return {
        name: value if isinstance(value, int) else float(value) for name, value in numbers.items()
    }
