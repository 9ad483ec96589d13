"""Exports of a run's change as matrices: a plain LoRA, or a merged model.

Merging requires a change that is linear in the input.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.prediction_settings import PredictionSettings, add_usage, form_of
from qtha_lab.models.quantisation.formats import rounding_of
from qtha_lab.runs.trained_model import load_run_model, plan_of

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run

ROWS, BATCH = 256, 8  # rows of the task for the LoRA fit, and batch size


def fit_lora(run: "Run", folder: Path, r: int = 8, offset: bool | None = None) -> str:
    """Fit a LoRA to the adapter on rows of the run's task (see `lora_fit.export_lora`).

    A quarter of the tokens is held out.

    Returns:
        A sentence on the quality of the fit.
    """
    from qtha_lab.runs.export.lora_fit import export_lora
    from qtha_lab.tasks import collate

    loaded = load_run_model(run.files)
    experiment, tokenizer = run.experiment, loaded.base.tokenizer
    whole = experiment.training.replace(train_rows=None, eval_rows=None)
    task = Plan(experiment.replace(training=whole)).task
    rows = task.encode(task.train[:ROWS], tokenizer, experiment.training.max_length)
    join = collate(tokenizer)
    batches = [join(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)]
    result = export_lora(
        loaded.model, batches, r, folder, base_model=experiment.model, offset=offset
    )
    settings = PredictionSettings.of(loaded.plan)
    settings.save(folder, loaded.base.model.config, tokenizer)
    if task.kind != "text":
        form = form_of(loaded.plan, loaded.base, is_lora=True)
        add_usage(folder / "README.md", settings, tokenizer, form)
    rank = f"rank {r} with an offset per layer" if result.offset else f"rank {r}"
    return f"{rank}, misses {result.error:.2g} of the change on held-out tokens (1 is all of it)"


def merge(run: "Run", folder: Path) -> str:
    """Save base and adapter as one transformers model, with the tokenizer.

    The weights of a base that rounds them with their change are saved on the grid.

    Raises:
        Refusal: If the change is not one matrix for all inputs, or the base is quantised otherwise.
    """
    plan = plan_of(run.files)
    quantization = run.experiment.quantization
    rounding = rounding_of(quantization)
    rounds_changes = rounding is not None and rounding.rounds_changes
    if quantization != "none" and not rounds_changes:
        raise Refusal(
            f"A merged run must have quantization=none, got {quantization} in run {run.id}. Export "
            "the adapter or a LoRA."
        )
    if plan.reader:
        raise Refusal(
            f"A merged run must have the model's own head, got {plan.reader} in run {run.id}. "
            "Export the adapter."
        )
    check_mergeable(run.id, plan.config)
    loaded = load_run_model(run.files)
    peft_model: Any = loaded.model
    model = peft_model.merge_and_unload(safe_merge=True)
    if rounds_changes:
        from qtha_lab.models.quantisation.layers import round_trained_weights

        round_trained_weights(model)
    model.save_pretrained(str(folder))
    settings = PredictionSettings.of(plan)
    settings.save(folder, model.config, loaded.base.tokenizer)
    _write_card(folder, plan, settings, loaded.base.tokenizer)
    if rounds_changes:
        return f"has rounded weights; load with quantization={quantization} to round inputs too"
    return "loads with transformers alone"


def _write_card(folder: Path, plan: Plan, settings: PredictionSettings, tokenizer) -> None:
    """Write the model card of a merged model."""
    from qtha_lab.models.model_card import merged_card

    experiment = plan.experiment
    merged_card(folder, experiment.model, experiment.method.name, experiment.task, settings.head)
    if settings.kind != "text":
        add_usage(folder / "README.md", settings, tokenizer, "merged")


def check_mergeable(run_id: str, config) -> None:
    """Refuse a method whose change depends on the input, with the reason."""
    from qtha_lab.adapters import get_method, method_of

    method = method_of(config)
    if method is None or not method.ours or get_method(method.name).is_linear(config):
        return
    reason = type(config).change_class.nonlinear_reason(config)
    raise Refusal(f"Run {run_id} cannot be merged: {reason}")
