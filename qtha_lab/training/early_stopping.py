"""Early stopping on evaluation losses, and storage of the best adapter beside the checkpoints.

The decision depends on evaluation losses alone, so a resumed run decides as an uninterrupted run
does. If patience is not set, nothing is stored and training is never ended.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from peft import PeftModel
from torch import nn

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, remove, staged
from qtha_lab.experiment import Training
from qtha_lab.experiment.run_directory import RunDir, checkpoints

log = logging.getLogger(__name__)


def waited(losses: Mapping[int, float], min_improvement: float = 0.0) -> int:
    """Count the latest consecutive evaluations without an improvement on the best loss.

    Example:
        >>> waited({0: 4.0, 25: 3.0, 50: 3.1, 75: 3.0})
        2
        >>> waited({0: 4.0, 25: 3.0, 50: 2.99}, min_improvement=0.05)
        1
    """
    best, count = float("inf"), 0
    for step in sorted(losses):
        if losses[step] < best and best - losses[step] >= min_improvement:
            best, count = losses[step], 0
        else:
            count += 1
    return count


def best_step(losses: Mapping[int, float]) -> int | None:
    """Return the first step with the lowest loss, step 0 excluded.

    None if no later step was evaluated.

    Example:
        >>> best_step({0: 1.0, 25: 3.0, 50: 2.5, 75: 2.5})
        50
    """
    return min((step for step in sorted(losses) if step), key=losses.__getitem__, default=None)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load a folder's adapter weights into a model with the same kind of adapter."""
    from peft import load_peft_weights, set_peft_model_state_dict

    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))


class EarlyStop:
    """Early-stopping state of a run, which stores the best adapter.

    Args:
        settings: Training settings with the patience.
        run: Run directory; adapters are stored in its `best` folder.
        model: Trained model.
        losses: Evaluation losses of earlier sessions, by step.
    """

    def __init__(
        self, settings: Training, run: RunDir, model: PeftModel, losses: Mapping[int, float]
    ) -> None:
        self.settings, self.run, self.model, self.losses = settings, run, model, dict(losses)

    @property
    def is_over(self) -> bool:
        """True if patience has run out."""
        patience, least = self.settings.patience, self.settings.min_improvement
        return bool(patience) and waited(self.losses, least) >= patience

    @property
    def best_step(self) -> int | None:
        """Step of the stored best adapter; None without patience or evaluations."""
        return best_step(self.losses) if self.settings.patience else None

    def add(self, step: int, loss: float) -> None:
        """Add an evaluation loss, and store the adapter if this loss is lowest."""
        self.losses[step] = loss
        if self.best_step == step:
            self._keep(step)

    def put_back(self) -> None:
        """Load the stored best adapter into the model.

        Raises:
            Refusal: If the stored adapter is missing.
        """
        if self.best_step is None:
            return
        place = self._place(self.best_step)
        if not place.is_dir():
            raise Refusal(
                f"The best adapter of this run is not in {place}. Put it back, or begin again with "
                f"`qtha-lab resume {self.run.path.name} --anew`."
            )
        load_weights(self.model, place)

    def clear(self) -> None:
        """Delete the stored adapters, after the run's adapter is written."""
        remove(self.run.best, ignore_errors=True)

    def sentence(self, step: int) -> str:
        """Describe the end of training at a step; return "" without patience."""
        if not self.settings.patience:
            return ""
        ending = f"the adapter of step {self.best_step} is kept"
        if not self.is_over:
            return f"{ending}, which has the lowest evaluation loss"
        least, count = self.settings.min_improvement, self.settings.patience
        by = f" by {least:g} nats" if least else ""
        return (
            f"finished early at step {step} of {self.run.experiment.training.steps}: "
            f"{count} evaluations in a row did not improve{by}; "
            f"{ending}"
        )

    def _keep(self, step: int) -> None:
        """Store the adapter of a step and delete stored adapters that no checkpoint needs.

        A checkpoint needs the adapter that was the best one at its step.
        """
        make_folder(self.run.best, self.run.path)
        with staged(self._place(step), self.run.path) as new:
            self.model.save_pretrained(str(new))
        ends = [step, *checkpoints.by_step(self.run.checkpoints)]
        needed = {best_step({s: x for s, x in self.losses.items() if s <= end}) for end in ends}
        for place in self.run.best.iterdir():
            if place.name not in {self._place(s).name for s in needed if s is not None}:
                remove(place, self.run.path)
        log.info("the adapter of step %d is the best so far", step)

    def _place(self, step: int) -> Path:
        return self.run.best / f"step-{step}"
