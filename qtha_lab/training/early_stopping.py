"""Early stopping: whether evaluations still improve, and the adapter of the best step, kept beside the checkpoints.

Decides by the evaluation losses alone, so a run that goes on after a kill decides the same. Without patience it keeps
nothing and ends nothing.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from peft import PeftModel
from torch import nn

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Training
from qtha_lab.experiment.run_directory import RunDir, checkpoints
from qtha_lab.experiment.run_directory.files import sync, sync_tree

log = logging.getLogger(__name__)


def waited(losses: Mapping[int, float], min_improvement: float = 0.0) -> int:
    """How many evaluations in a row, up to the last, did not improve on the best before them.

    Args:
        losses: Of evaluations, by step; the start's is the first that is to be improved on.
        min_improvement: What counts as an improvement, in nats.

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
    """The first step after the start that has the lowest loss; None where none was evaluated.

    Example:
        >>> best_step({0: 1.0, 25: 3.0, 50: 2.5, 75: 2.5})
        50
    """
    return min((step for step in sorted(losses) if step), key=losses.__getitem__, default=None)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Put the adapter in a folder into a model that has an adapter of the same kind."""
    from peft import load_peft_weights, set_peft_model_state_dict

    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))


class EarlyStop:
    """Watches the evaluations of a run and keeps its best adapter.

    Args:
        training: Its patience.
        run: The directory, in whose `best` the adapters lie.
        model: What is trained.
        losses: Of evaluations before, by step.
    """

    def __init__(
        self, training: Training, run: RunDir, model: PeftModel, losses: Mapping[int, float]
    ) -> None:
        self.training, self.run, self.model, self.losses = training, run, model, dict(losses)

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        patience, least = self.training.patience, self.training.min_improvement
        return bool(patience) and waited(self.losses, least) >= patience

    @property
    def kept_step(self) -> int | None:
        """The step whose adapter is kept; None where the last one's is."""
        return best_step(self.losses) if self.training.patience else None

    def add(self, step: int, loss: float) -> None:
        """Take an evaluation in; the adapter is kept if it is the best so far."""
        self.losses[step] = loss
        if self.kept_step == step:
            self._keep(step)

    def put_back(self) -> None:
        """Give the model the adapter that is kept.

        Raises:
            Refusal: If somebody deleted it.
        """
        if self.kept_step is None:
            return
        place = self._place(self.kept_step)
        if not place.is_dir():
            raise Refusal(
                f"{place}, the best adapter of this run, is missing: put it back, or begin again at step 0 with "
                f"`qtha-lab resume {self.run.path.name} --anew`"
            )
        load_weights(self.model, place)

    def clear(self) -> None:
        """Delete what was kept, once the run's adapter is written."""
        shutil.rmtree(self.run.best, ignore_errors=True)

    def sentence(self, step: int) -> str:
        """What a person should know of the end at a step; "" without patience."""
        if not self.training.patience:
            return ""
        ending = f"the adapter of step {self.kept_step} is kept"
        if not self.is_over:
            return f"{ending}, which has the lowest evaluation loss"
        least, count = self.training.min_improvement, self.training.patience
        by = f" by {least:g} nats" if least else ""
        return (
            f"finished early at step {step} of {self.training.steps}: {count} evaluations in a row did not improve{by}; "
            f"{ending}"
        )

    def _keep(self, step: int) -> None:
        """Save the adapter; those of before stay as long as a checkpoint may be gone on from that had them as best."""
        new = self.run.best / "new"
        shutil.rmtree(new, ignore_errors=True)
        self.model.save_pretrained(str(new))
        sync_tree(new)
        shutil.rmtree(self._place(step), ignore_errors=True)
        new.rename(self._place(step))
        sync(self.run.best)
        ends = [step, *checkpoints.by_step(self.run.checkpoints)]
        needed = {best_step({s: x for s, x in self.losses.items() if s <= end}) for end in ends}
        for place in self.run.best.iterdir():
            if place.name not in {self._place(s).name for s in needed if s is not None}:
                shutil.rmtree(place)
        log.info("the adapter of step %d is the best so far", step)

    def _place(self, step: int) -> Path:
        return self.run.best / f"step-{step}"
