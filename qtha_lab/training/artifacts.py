"""Files of a finished run: environment, answers, adapter, summary and model card.

Runs no training step. Each file is written under a temporary name and then renamed, so a killed
process leaves no partial file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import nn

from qtha_lab import adapters, models
from qtha_lab.adapters import heads
from qtha_lab.core.io import read_mapping, staged, write_json
from qtha_lab.core.metrics import recorded, scores
from qtha_lab.core.paths import shared_name
from qtha_lab.experiment.prediction_settings import PredictionSettings, add_usage, form_of
from qtha_lab.models.model_card import write_card
from qtha_lab.training import evaluation, summary
from qtha_lab.training.memory import PeakMemory
from qtha_lab.training.schedules import HEAD
from qtha_lab.training.scores import generation_scores, has_text_scorers
from qtha_lab.training.session import Session, optional_measurement
from qtha_lab.training.setup import Loaded
from qtha_lab.training.summary import run_summary

log = logging.getLogger(__name__)

CARD_FACTS = (
    "quantization",
    "head",
    "steps",
    "seed",
    "learning_rate",
    "head_learning_rate",
    "trainable_parameters",
    "head_parameters",
)
LOSS_UNITS = {
    "classification": "in nats per row",
    "preference": "in nats per pair",
    "regression": "squared errors of numbers scaled to mean 0 and variance 1",
}
CARD_NOTES = (
    "Losses are {unit}, of evaluation rows the adapter was not trained on; "
    "`test_loss` is of other rows that nothing was chosen on, looked at once; "
    "`train_loss` is the mean of the last ten steps."
)


NO_SCORES = 'BLEU and ROUGE are omitted: run pip install "qtha-lab[scores]" to add them.'


def write_environment(session: Session, loaded: Loaded) -> None:
    """Record versions, processor, threads, device and the fingerprints of model and task."""
    base, task = (
        {
            "name": shared_name(one.name),
            "source": shared_name(one.source),
            "fingerprint": one.fingerprint,
        }
        for one in (loaded.base, loaded.task)
    )
    description = summary.environment_facts() | {
        "threads": session.threads.least,
        "device": str(next(loaded.model.parameters()).device),
        "model": base,
        "task": task | {"split_key": loaded.task.split_key},
    }
    write_json(session.run.environment, description)


def write_answers(session: Session, loaded: Loaded, step: int) -> None:
    """Generate answers to some evaluation rows and record them with their scores.

    A model that cannot generate leaves a note.

    Raises:
        Interrupted: If a stop is requested during generation.
    """
    task, training = loaded.task, session.training
    rows = task.eval[: training.generate_rows]
    if not task.has_answers or not rows or session.is_recorded("generation", step):
        return
    message = f"answering {len(rows)} evaluation rows"
    session.report("running", message, step=step)
    with optional_measurement("answers to evaluation rows", session.note):
        _record_answers(session, loaded, step, rows)


def _record_answers(session: Session, loaded: Loaded, step: int, rows: list[dict]) -> None:
    task, training = loaded.task, session.training
    prompts, references = zip(*task.prompts(rows, loaded.rows.tokenizer), strict=True)
    with evaluation.evaluating(loaded.model):
        outputs = evaluation.generate(
            loaded.model,
            loaded.rows.tokenizer,
            list(prompts),
            max_new_tokens=training.max_new_tokens,
            size=4 * training.batch_size,  # no activations are stored for a backward pass
            poll=session.poll,
        )
    samples = [
        {"prompt": prompt, "reference": reference, "output": output}
        for prompt, reference, output in zip(prompts, references, outputs, strict=True)
    ]
    scores = generation_scores(outputs, list(references))
    session.log.append("generation", step=step, **scores, samples=samples)
    if not has_text_scorers():
        session.note(NO_SCORES, step)


def write_adapter(session: Session, loaded: Loaded) -> None:
    """Save the adapter and its config, with the settings of predictions and the tokenizer.

    The config names the public base model instead of a local folder. An adapter whose
    initialisation changes the base weight is saved so that it fits the base as loaded.
    """
    run = session.run
    with staged(run.adapter, run.path) as folder:
        loaded.model.save_pretrained(str(folder))
        adapters.save_initialisation(loaded.model, folder)
        if adapters.lora_initialisation(loaded.config).moves_weight:
            adapters.save_whole(folder, folder)
        settings = PredictionSettings.of(loaded.plan)
        settings.save(folder, loaded.base.model.config, loaded.rows.tokenizer)
        config = folder / "adapter_config.json"
        saved = read_mapping(config) or {}
        saved["base_model_name_or_path"] = models.public_base(session.experiment.model)
        if isinstance(targets := saved.get("target_modules"), list):
            saved["target_modules"] = sorted(targets)  # PEFT saves a set in any order
        write_json(config, saved)
    log.info("adapter written to %s", run.adapter)


def write_summary(
    session: Session,
    loaded: Loaded,
    memory: PeakMemory,
    state: str,
    ended: Mapping[str, Any] | None = None,
) -> None:
    """Write the summary of the run as one flat mapping."""
    facts = count_trained(loaded.model) | {
        "base_parameters": loaded.base_parameters,
        "scale": adapters.scale_of(loaded.config),
        "learning_rate": session.learning_rate,
        "head_learning_rate": session.training.head_learning_rate,
        "state": state,
        "peak_memory_bytes": memory.bytes(),
    }
    split = {"split_key": loaded.task.split_key, "missing_labels": loaded.task.missing_labels}
    facts |= {name: text for name, text in split.items() if text}
    facts |= ended or {}
    write_json(session.run.summary, run_summary(session.run, facts))


def write_model_card(session: Session, loaded: Loaded) -> None:
    """Write the model card of the adapter from the summary."""
    run, experiment = session.run, session.experiment
    summary = read_mapping(run.summary) or {}
    metric_names = (
        "train_loss",
        "eval_loss_whole_base",
        "eval_loss_start",
        "eval_loss",
        *recorded("test"),
        *recorded("general"),
        *scores(),
        *recorded("generation"),
    )
    facts = {name: value for name, value in summary.items() if value is not None}
    note = adapters.initialisation_note(loaded.config)
    unit = LOSS_UNITS.get(loaded.task.kind, "in nats per token")
    write_card(
        run.adapter,
        loaded.config,
        base_model=experiment.model,
        n_labels=loaded.plan.n_labels,
        head=head.text if (head := heads.head_of(loaded.model)) else "",
        task=experiment.task,
        facts={name: facts[name] for name in CARD_FACTS if facts.get(name) not in (None, "")},
        metrics={name: facts[name] for name in metric_names if name in facts},
        notes=f"{CARD_NOTES.format(unit=unit)} {note[:1].upper()}{note[1:]}".strip(),
    )
    if loaded.task.kind != "text":
        settings, form = PredictionSettings.of(loaded.plan), form_of(loaded.plan, loaded.base)
        add_usage(run.adapter / "README.md", settings, loaded.rows.tokenizer, form)


def count_trained(model: nn.Module) -> dict[str, int]:
    """Count the trainable parameters of the adapter and of a new classification head."""
    trained = [(name, p.numel()) for name, p in model.named_parameters() if p.requires_grad]
    head = sum(count for name, count in trained if HEAD in name)
    return {
        "trainable_parameters": sum(count for _, count in trained) - head,
        "head_parameters": head,
    }
