"""What a session has in memory before its first step: rows as numbers, the base model, the adapter on it.

The seed is set before the base's head and again before the adapter, so that the adapter's start depends
on neither.
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
from qtha_lab.adapters import heads
from qtha_lab.adapters import phases as staged
from qtha_lab.experiment.phases import parse
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.run_directory.plugins import load_run_plugins
from qtha_lab.training import evaluation
from qtha_lab.training.batching import by_length
from qtha_lab.training.distillation import load_teacher, seen_before
from qtha_lab.training.memory_wait import make_room
from qtha_lab.training.objective import Objective
from qtha_lab.training.perturbation import nudge
from qtha_lab.training.reinforce import Reward, sentence
from qtha_lab.training.session import Session


@dataclass(frozen=True)
class Rows:
    """The rows of a task as one tokenizer encodes them."""

    tokenizer: Any
    collate: tasks.Collate
    evaluation: list[dict]


@dataclass(frozen=True)
class Loaded:
    """All that a fine-tune needs in memory.

    Attributes:
        plan: Task and config.
        base: The model as loaded, with its source and fingerprint.
        base_parameters: Numbers in it, before the adapter.
        rows: To evaluate on.
        training_rows: To train on.
        config: The adapter's, as PEFT completed it.
        model: The base with the adapter on it.
        objective: What gives the loss: a teacher beside it, or a reward; None is the labels.
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
        """The rows as text."""
        return self.plan.task

    def scores(self, session: Session) -> dict[str, float]:
        """Loss and scores of the adapted model now.

        Raises:
            Interrupted: If the run is asked to stop meanwhile.
        """
        return _predictions(session, self.model, self.rows).scores(self.task.kind)

    def predictions(self, session: Session, rows: list[dict]) -> evaluation.Predictions:
        """What the adapted model predicts now for other rows.

        Args:
            session: May be asked to stop meanwhile.
            rows: Of the task, encoded.

        Raises:
            Interrupted: If it was.
        """
        return _predictions(session, self.model, replace(self.rows, evaluation=rows))


def load(session: Session) -> Loaded:
    """Bring everything of a run into memory.

    Raises:
        Interrupted: If the run is asked to stop meanwhile.
        Refusal: If a plugin was changed, or the model cannot take the adapter.
    """
    experiment = session.experiment
    load_run_plugins(session.run)
    session.report("loading", f"task {experiment.task}")
    plan = Plan(experiment)
    task = plan.task
    if task.split_key:
        name, lacks = models.public_name(task.name), task.missing_labels
        end = f"; {lacks}" if lacks else ""
        _note_once(session, f"rows of {name} are split by {task.split_key}{end}")
    session.poll()
    make_room(session, plan.bytes if session.queue else {})
    session.report("loading", f"model {experiment.model}")
    set_seed(experiment.seed)
    if experiment.quantization != "none" and not session.is_recorded("whole_base", 0):
        _score_whole_base(session, plan)
    base = _load_base(plan, experiment.quantization)
    rows = _read_rows(plan, base.tokenizer)
    training_rows = task.encode(task.train, base.tokenizer, session.training.max_length)
    # transformers refuses to train over torchao's 4 bits; only the adapters on top are trained
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
    staged.close(model, parse(session.training.stages))
    nudge(model, session.training.nudge)
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
    """Recompute activations in the backward pass, by the name this transformers has for it."""
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
    """The teacher or the reward, and a note once of what a reader of the losses must know; None for the labels' loss."""
    training = session.training
    if training.objective == "reward":
        _note_once(session, sentence(training.reward))
        return Reward(tokenizer, training, session.experiment.seed)
    if not training.teacher:
        return None
    session.report("loading", f"teacher {training.teacher}")
    if note := seen_before(plan):
        _note_once(session, note)
    return load_teacher(plan)


def _note_once(session: Session, note: str) -> None:
    if note not in session.notes():
        session.log.append("note", step=session.start.step, message=note)


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
    """The base with the adapter at its start, or ready to take the tensors of the checkpoint."""
    if session.checkpoint is not None:
        return _with_head_in_float32(adapters.add_unstarted(base, config, session.checkpoint))
    starting = training_rows[: plan.start_rows]
    if starting:
        session.report("loading", f"start from {len(starting)} training rows")
    batches = list(_batches(session, starting, collate))
    model = _with_head_in_float32(adapters.add_started(base, config, batches))
    if starting:
        adapters.initialise_from_rows(model, batches)
    if (note := adapters.initialisation_note(config)) and note not in session.notes():
        session.log.append("note", step=0, message=note)
    return model


def _with_features(
    session: Session, model: nn.Module, rows: list[dict], collate: tasks.Collate
) -> list[dict]:
    """Rows with what the head reads of them, which a frozen model gives once and for all."""
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    lengths, size = [len(row["input_ids"]) for row in rows], session.training.batch_size
    places = list(by_length(lengths, 4 * size))  # nothing is kept for a backward pass

    def batches() -> Iterator[dict]:
        for part in places:
            session.poll()
            yield collate([rows[place] for place in part])

    order = [place for part in places for place in part]
    features = dict(zip(order, heads.features_of(model, batches()), strict=True))
    return [row | {"features": features[place]} for place, row in enumerate(rows)]


def _with_head_in_float32(model: PeftModel) -> PeftModel:
    for parameter in model.parameters():
        if parameter.requires_grad:  # PEFT leaves a new head in the base's bfloat16
            parameter.data = parameter.data.to(torch.float32)
    return model


def _batches(session: Session, rows: list[dict], collate: tasks.Collate) -> Iterator[dict]:
    """Rows as they come, in batches of the training's size; may be stopped between two."""
    size = session.training.batch_size
    for first in range(0, len(rows), size):
        session.poll()
        yield collate(rows[first : first + size])


def _score_whole_base(session: Session, plan: Plan) -> None:
    """Record the loss of the base before it is quantised, so that what quantising costs is known."""
    base = _load_base(plan, "none")
    rows = _read_rows(plan, base.tokenizer)
    scores = _predictions(session, base.model, rows).scores(plan.task.kind)
    session.log.append("whole_base", step=0, **scores)


def _predictions(session: Session, model: nn.Module, rows: Rows) -> evaluation.Predictions:
    size = session.training.batch_size
    return evaluation.predict(model, rows.evaluation, rows.collate, size, session.poll)
