"""A run's trained model: its base and its adapter, finished or from a checkpoint.

Starts nothing and trains nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.prediction_settings import PredictionSettings
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import load_run_plugins
from qtha_lab.experiment.run_directory.record import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase

    from qtha_lab.models import LoadedModel


@dataclass(frozen=True)
class RunModel:
    """A run's model in evaluation mode.

    Attributes:
        plan: Its experiment with the rows of its task.
        base: The base with the tokenizer; its modules carry the adapter.
        model: The base with the adapter.
        note: Source of the adapter, if it is not the finished one.
    """

    plan: Plan
    base: "LoadedModel"
    model: "PeftModel"
    note: str

    def __iter__(self) -> "Iterator[PeftModel | PreTrainedTokenizerBase]":
        """Unpack into model and tokenizer."""
        yield self.model
        yield self.base.tokenizer

    def generate(self, prompt: str, **decoding: Any) -> str:
        """Return the model's answer to a prompt; see `Run.generate`."""
        from qtha_lab.runs.generation.decoding import Decoding
        from qtha_lab.runs.generation.stream import Stream
        from qtha_lab.tasks.messages import render

        text = render([{"role": "user", "content": prompt}], self.base.tokenizer, generate=True)
        return Stream(self.model, self.base.tokenizer, text, Decoding(**decoding)).whole()


def load_run_model(files: RunDir) -> RunModel:
    """Load a run's base and its adapter.

    Raises:
        Refusal: If the run is unreadable, has no adapter yet, or requires missing code or files.
    """
    from qtha_lab import adapters

    plan = plan_of(files)
    folder, note = adapter_of(files)
    base = load_base(PredictionSettings.of(plan), files.experiment.model)
    return RunModel(plan, base, adapters.load_adapter(base.model, folder).eval(), note)


def load_base(settings: PredictionSettings, name: str) -> "LoadedModel":
    """Load the base model of an adapter, with the names of its outputs.

    Raises:
        Refusal: If the model is not on this machine or has no such head.
    """
    from qtha_lab import models

    base = models.load_model(
        name,
        head=settings.head,
        n_labels=settings.n_labels,
        dtype=settings.precision,
        quantization=settings.quantization,
        head_seed=settings.seed,
    )
    settings.name_outputs(base.model.config)
    return base


def plan_of(files: RunDir) -> Plan:
    """Return the plan of a run's experiment, with the plugins of its launch imported.

    Raises:
        Refusal: If the run is unreadable or an arm of a reproduction, or a plugin has changed.
    """
    name = files.path.name
    if reason := unreadable(files):
        raise Refusal(f"Run {name} cannot be read: {reason}")
    if isinstance(files.experiment, Reproduced):
        raise Refusal(f"Run {name} must adapt a language model, got an arm of a reproduction.")
    load_run_plugins(files)
    return Plan(files.experiment)


def adapter_of(files: RunDir) -> tuple[Path, str]:
    """Return the folder of a run's adapter, or its newest whole checkpoint with a note.

    The note states the step; it is "" for the adapter.

    Raises:
        Refusal: If the run has neither yet.
    """
    from qtha_lab.training.resume import newest_complete

    if (files.adapter / "adapter_config.json").is_file():
        return files.adapter, ""
    checkpoint, step, _ = newest_complete(files.checkpoints)
    if checkpoint is None:
        raise Refusal(
            f"A run to load must have an adapter or a checkpoint, got {files.path.name} with "
            "none yet."
        )
    return checkpoint, f"from the checkpoint at step {step}"
