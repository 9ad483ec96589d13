"""Training loop of all small reproductions (Adam over one loss), its scorer and run log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog


def minimise(
    loss_of: Callable[[], Tensor],
    parameters: Iterable[Tensor],
    steps: int,
    rate: float,
    *,
    weight_decay: float = 0.0,
    cosine: bool = False,
    max_norm: float | None = None,
) -> Iterator[tuple[float, float]]:
    """Take steps of Adam; yield the loss before each step and its learning rate.

    Args:
        loss_of: Computes the loss of the next step, and draws its batch.
        parameters: Tensors to train; frozen ones are ignored.
        steps: Number of steps.
        rate: Learning rate.
        weight_decay: Weight decay of Adam.
        cosine: Lower the learning rate along a cosine.
        max_norm: Largest norm of the gradient; None does not clip.

    Example:
        >>> x = torch.tensor([1.0], requires_grad=True)
        >>> [round(loss, 2) for loss, _ in minimise(lambda: (x**2).sum(), [x], 3, rate=0.5)]
        [1.0, 0.25, 0.0]
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if cosine else None
    for _ in range(steps):
        now = rate if schedule is None else float(schedule.get_last_lr()[0])
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(trained, max_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        yield loss.item(), now


def minimised_costs(
    cost: Callable[[Tensor], Tensor], start: Tensor, steps: int, rate: float
) -> list[float]:
    """Return the cost of angles at their initial values and after each step of Adam."""
    angles = start.clone().requires_grad_()
    costs = [value for value, _ in minimise(lambda: cost(angles), [angles], steps, rate)]
    return [*costs, cost(angles).item()]


def batch_loss(
    network: nn.Module, rows: Tensor, labels: Tensor, size: int, order: torch.Generator
) -> Callable[[], Tensor]:
    """Return a function that computes the cross entropy of a random batch."""

    def loss_of() -> Tensor:
        batch = torch.randperm(len(rows), generator=order)[:size]
        return functional.cross_entropy(network(rows[batch]), labels[batch])

    return loss_of


@torch.no_grad()
def classifier_scores(network: nn.Module, rows: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute the loss in nats and the accuracy of a classifier."""
    logits = network(rows)
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(-1) == labels).float().mean().item(),
    }


def count_trained(network: nn.Module) -> int:
    """Count the trained parameters of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


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
