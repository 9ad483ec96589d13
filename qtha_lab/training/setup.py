"""Objects of a session before its first step: encoded rows, base model and adapter.

The seed is set before the base's head is drawn and again before the adapter, so the adapter's
initialisation depends on neither.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from torch import nn
from transformers import set_seed

from qtha_lab import adapters, models, tasks
from qtha_lab.adapters import heads, phases
from qtha_lab.experiment.objectives import Distillation, Preference, Reinforce
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.run_directory.plugins import load_run_plugins
from qtha_lab.training import evaluation
from qtha_lab.training.distillation import load_teacher, seen_before
from qtha_lab.training.evaluation import by_length
from qtha_lab.training.memory import wait_for_memory
from qtha_lab.training.objective import Objective, perturb
from qtha_lab.training.preference import MEANING, PairObjective
from qtha_lab.training.reinforce import Reward, loss_meaning
from qtha_lab.training.session import Session, optional_measurement


@dataclass(frozen=True)
class Rows:
    """Evaluation rows of a task as one tokenizer encodes them, with the tokenizer and collator."""

    tokenizer: Any
    collate: tasks.Collate
    evaluation: list[dict]


@dataclass(frozen=True)
class Loaded:
    """Objects of a fine-tune in memory.

    Attributes:
        plan: Plan with task and config.
        base: Base model as loaded, with source and fingerprint.
        base_parameters: Number of base parameters, without the adapter.
        rows: Evaluation rows.
        training_rows: Training rows.
        config: Adapter config, completed by PEFT.
        model: Base model with the adapter.
        objective: Objective in place of the label loss; None selects the label loss.
    """

    plan: Plan
    base: models.LoadedModel
    base_parameters: int
    rows: Rows
    training_rows: list[dict]
    config: PeftConfig
    model: PeftModel
    objective: Objective | None = None

    @property
    def task(self) -> tasks.Task:
        """Task with its rows as text."""
        return self.plan.task

    def scores(self, session: Session) -> dict[str, float]:
        """Compute loss and scores of the adapted model on the evaluation rows.

        Raises:
            Interrupted: If a stop is requested during evaluation.
        """
        task, predictions = self.task, _predictions(session, self.model, self.rows)
        return predictions.scores(task.kind, task.scale, task.labels)

    def predictions(self, session: Session, rows: list[dict]) -> evaluation.Predictions:
        """Compute the adapted model's predictions for other rows.

        Args:
            session: Session of the run; may receive a stop request.
            rows: Encoded rows of the task.

        Raises:
            Interrupted: If a stop is requested.
        """
        return _predictions(session, self.model, replace(self.rows, evaluation=rows))


def load_session(session: Session) -> Loaded:
    """Load the model, rows and adapter of a run.

    Raises:
        Interrupted: If a stop is requested during loading.
        Refusal: If a plugin was changed, or the model does not support the adapter.
    """
    experiment = session.experiment
    load_run_plugins(session.run)
    session.report("loading", f"task {experiment.task}")
    plan = Plan(experiment)
    task = plan.task
    if task.split_key:
        name, lacks = models.public_name(task.name), task.missing_labels
        end = f"; {lacks}" if lacks else ""
        session.note(f"rows of {name} are split by {task.split_key}{end}")
    for note in task.notes:
        session.note(note)
    if task.kind == "regression":
        mean, deviation = task.scale
        scaled = f"numbers are scaled by mean {mean:.6g} and standard deviation {deviation:.6g}"
        session.note(f"{scaled} of the training rows; losses are squared errors of them")
    session.poll()
    wait_for_memory(session, plan.bytes if session.queue else {})
    session.report("loading", f"model {experiment.model}")
    set_seed(experiment.seed)
    rounds = experiment.quantization != "none" and task.kind != "preference"
    if rounds and not session.is_recorded("whole_base", 0):
        with optional_measurement("scores of the base before quantisation", session.note):
            _score_whole_base(session, plan)
    base = _load_base(plan, experiment.quantization)
    if base.note:
        session.note(base.note)
    rows = _read_rows(plan, base.tokenizer)
    training_rows = task.encode(task.train, base.tokenizer, session.training.max_length)
    # transformers refuses to train a base quantised to 4 bits by torchao; only adapters are trained
    setattr(base.model, "is_quantized", False)  # noqa: B010  nn.Module declares no such attribute
    base_parameters = base.model.num_parameters()
    if alone := experiment.method.name == "none":
        heads.read_features(base.model, heads.layer_name(base.model))
    objective = _objective(session, plan, base.tokenizer)
    session.poll()
    session.report("loading", f"adapter {experiment.method.label}")
    if session.training.gradient_checkpointing:
        recompute(base.model)
    set_seed(experiment.seed)
    config = copy.deepcopy(plan.config)
    model = _adapt(session, plan, base.model, config, training_rows, rows.collate)
    if session.checkpoint is None and (start := adapters.pending_initialisation(config)):
        session.report("loading", f"angles from {start}")
        adapters.initial_angles(model)
    phases.close(model, session.training.phases)
    perturb(model, session.training.perturbation)
    if alone:
        session.report("loading", "features of the frozen model")
        rows = replace(
            rows, evaluation=_with_features(session, model, rows.evaluation, rows.collate)
        )
        training_rows = _with_features(session, model, training_rows, rows.collate)
    if warning := adapters.first_step_warning(model, config, session.learning_rate):
        session.report("loading", warning)
    session.poll()
    return Loaded(plan, base, base_parameters, rows, training_rows, config, model, objective)


def recompute(model: nn.Module) -> None:
    """Enable activation recomputation, under the method name of the installed transformers."""
    new = getattr(model, "activation_checkpointing_enable", None)
    enable: Callable = new or getattr(model, "gradient_checkpointing_enable")  # noqa: B009
    enable({"use_reentrant": False})


def _load_base(plan: Plan, quantization: str) -> models.LoadedModel:
    return models.load_model(
        plan.experiment.model,
        head=plan.head,
        n_labels=plan.n_labels,
        dtype=plan.experiment.training.precision,
        quantization=quantization,
        head_seed=plan.experiment.seed,
        reader=plan.reader,
    )


def _objective(session: Session, plan: Plan, tokenizer: Any) -> Objective | None:
    """Create the objective of a training; None selects the label loss.

    Adds a note on the meaning of the losses to the run, once.
    """
    training, objective = session.training, session.training.objective
    if isinstance(objective, Reinforce):
        session.note(loss_meaning(objective.reward))
        longest = training.max_new_tokens
        return Reward(tokenizer, objective, longest, session.experiment.seed)
    if isinstance(objective, Preference):
        session.note(MEANING)
        return PairObjective(objective.beta)
    if not isinstance(objective, Distillation):
        return None
    session.report("loading", f"teacher {objective.teacher}")
    if note := seen_before(plan):
        session.note(note)
    return load_teacher(plan)


def _read_rows(plan: Plan, tokenizer: Any) -> Rows:
    task, longest = plan.task, plan.experiment.training.max_length
    return Rows(tokenizer, tasks.collate(tokenizer), task.encode(task.eval, tokenizer, longest))


def _adapt(
    session: Session,
    plan: Plan,
    base: nn.Module,
    config: PeftConfig,
    training_rows: list[dict],
    collate: tasks.Collate,
) -> PeftModel:
    """Add the adapter to the base, initialised or prepared for a checkpoint's tensors."""
    if session.checkpoint is not None:
        return _with_head_in_float32(adapters.add_for_checkpoint(base, config, session.checkpoint))
    starting = [
        {name: value for name, value in row.items() if name != "rejected"}
        for row in training_rows[: plan.start_rows]
    ]
    if starting:
        session.report("loading", f"start from {len(starting)} training rows")
    batches = list(_batches(session, starting, collate))
    model = _with_head_in_float32(adapters.add_initialised(base, config, batches))
    if starting:
        adapters.initialise_from_rows(model, batches)
    for note in (adapters.initialisation_note(config), adapters.unadapted_experts_note(model)):
        if note:
            session.note(note, 0)
    return model


def _with_features(
    session: Session, model: nn.Module, rows: list[dict], collate: tasks.Collate
) -> list[dict]:
    """Add the head's input features to each row.

    The model is frozen, so each feature is computed only once.
    """
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    lengths, size = [len(row["input_ids"]) for row in rows], session.training.batch_size
    places = list(by_length(lengths, 4 * size))  # no activations are stored for a backward pass

    def batches() -> Iterator[dict]:
        for part in places:
            session.poll()
            yield collate([rows[place] for place in part])

    order = [place for part in places for place in part]
    features = dict(zip(order, heads.features_of(model, batches()), strict=True))
    return [row | {"features": features[place]} for place, row in enumerate(rows)]


def _with_head_in_float32(model: PeftModel) -> PeftModel:
    for parameter in model.parameters():
        if parameter.requires_grad:  # PEFT creates a new head in the base's bfloat16
            parameter.data = parameter.data.to(torch.float32)
    return model


def _batches(session: Session, rows: list[dict], collate: tasks.Collate) -> Iterator[dict]:
    """Yield rows in their order, in batches of the training's size; polls before each batch."""
    size = session.training.batch_size
    for first in range(0, len(rows), size):
        session.poll()
        yield collate(rows[first : first + size])


def _score_whole_base(session: Session, plan: Plan) -> None:
    """Record the loss of the base before quantisation, to measure the effect of quantisation."""
    base = _load_base(plan, "none")
    rows = _read_rows(plan, base.tokenizer)
    task, predictions = plan.task, _predictions(session, base.model, rows)
    scores = predictions.scores(task.kind, task.scale, task.labels)
    session.log.append("whole_base", step=0, **scores)


def _predictions(session: Session, model: nn.Module, rows: Rows) -> evaluation.Predictions:
    size, beta = session.training.batch_size, session.training.beta
    return evaluation.predict(model, rows.evaluation, rows.collate, size, session.poll, beta)
