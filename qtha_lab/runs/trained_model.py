"""A run's trained model: its base and its adapter, finished or from a checkpoint.

Starts nothing and trains nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory.plugins import load_run_plugins

if TYPE_CHECKING:
    from peft import PeftModel

    from qtha_lab.models import LoadedModel
    from qtha_lab.runs.run import Run


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


def load_run(run: "Run") -> RunModel:
    """Load a run's base and its adapter.

    Raises:
        Refusal: If the run is unreadable, has no adapter yet, or requires missing code or files.
    """
    from qtha_lab import adapters, models

    plan = plan_of(run)
    folder, note = adapter_of(run)
    experiment = run.experiment
    base = models.load_model(
        experiment.model,
        head=plan.head,
        n_labels=plan.n_labels,
        dtype=experiment.training.precision,
        quantization=experiment.quantization,
        head_seed=experiment.seed,
    )
    return RunModel(plan, base, adapters.load_adapter(base.model, folder).eval(), note)


def plan_of(run: "Run") -> Plan:
    """Return the plan of a run's experiment, with the plugins of its launch imported.

    Raises:
        Refusal: If the run is unreadable or an arm of a reproduction, or a plugin has changed.
    """
    if run.unreadable:
        raise Refusal(f"run {run.id} cannot be read: {run.unreadable}")
    if isinstance(run.experiment, Reproduced):
        raise Refusal(f"run {run.id} is an arm of a reproduction, which adapts no language model")
    load_run_plugins(run.files)
    return Plan(run.experiment)


def adapter_of(run: "Run") -> tuple[Path, str]:
    """Return the folder of a run's adapter, or its newest whole checkpoint with a note.

    The note states the step; it is "" for the adapter.

    Raises:
        Refusal: If the run has neither yet.
    """
    from qtha_lab.training.resume import newest_complete

    if (run.files.adapter / "adapter_config.json").is_file():
        return run.files.adapter, ""
    checkpoint, step, _ = newest_complete(run.files.checkpoints)
    if checkpoint is None:
        state = run.status().state
        raise Refusal(f"run {run.id} is {state} and has no adapter and no checkpoint yet")
    return checkpoint, f"from the checkpoint at step {step}"
