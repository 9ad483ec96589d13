"""Requirements of a training on machine, libraries and base model, checked before the start."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.processes import allowed_cores
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.objectives import Preference, Reinforce, Supervised, phases_text
from qtha_lab.models import most_positions

if TYPE_CHECKING:
    from qtha_lab.experiment.plan import Plan
    from qtha_lab.experiment.training import Training


def check_tracker(report_to: str) -> None:
    """Refuse a tracker whose library is not installed."""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        package = "qtha-lab[tensorboard]" if report_to == "tensorboard" else report_to
        raise Refusal(
            f'report_to must be an installed library, got {report_to}. Run pip install "{package}".'
        )


def check_scorer(training: Training) -> None:
    """Refuse a ROUGE reward whose package is not installed."""
    if isinstance(training.objective, Reinforce):
        require_extra("scores", "A training on a ROUGE reward", "rouge_score")


def check_threads(threads: int | None) -> None:
    """Refuse more threads than this process has cores."""
    cores = len(allowed_cores())
    if threads and threads > cores:
        raise Refusal(f"threads must be at most {cores}, the cores of this machine, got {threads}.")


def check_steps(plan: Plan) -> None:
    """Refuse both steps and epochs."""
    training = plan.experiment.training
    default = type(training).model_fields["steps"].default
    if training.epochs is not None and training.steps not in (default, plan.steps):
        raise Refusal(
            f"steps must be empty with epochs={training.epochs:g}, which is {plan.steps} steps of "
            f"these rows, got {training.steps}."
        )


def check_rates(plan: Plan) -> None:
    """Refuse a separate rate for a tensor group that the method does not train."""
    for group in plan.experiment.training.rate_ratios:
        if group not in plan.layout.groups:
            raise unknown(
                f"group of tensors of {plan.experiment.method.name} in rate_ratios",
                group,
                plan.layout.groups,
            )


def check_phases(plan: Plan) -> None:
    """Refuse phases that the plan's method does not support.

    Raises:
        Refusal: If a phase trains nothing or sets an unsupported option, or the last phase disables
            a part.
    """
    phases = plan.experiment.training.phases
    if not phases:
        return
    from qtha_lab.adapters import get_method
    from qtha_lab.adapters.adapted_model import adapted_skeleton
    from qtha_lab.adapters.phases import check_phases as check_on_model

    choice = plan.experiment.method
    if phases[-1].options:
        raise Refusal(
            f"The last phase must have no method options, got {phases_text(phases[-1:])}. "
            "Give them to the method."
        )
    for phase in phases:
        get_method(choice.name).check({**choice.options, **phase.options})
    check_on_model(adapted_skeleton(plan.model, plan.config), phases)


def check_adapter_initialisation(plan: Plan) -> None:
    """Refuse an initialisation that this base does not allow.

    See `adapters.check_initialisation`.
    """
    from qtha_lab import adapters

    experiment = plan.experiment
    adapters.check_initialisation(
        plan.model,
        plan.config,
        start_rows=plan.start_rows,
        quantization=experiment.quantization,
        precision=experiment.training.precision,
    )


def check_seq2seq(plan: Plan) -> None:
    """Refuse objectives and split steps that an encoder with a decoder does not support."""
    training = plan.experiment.training
    if plan.head != "seq2seq":
        return
    settings = {
        "objective": not isinstance(training.objective, Supervised),
        "gradient_accumulation": training.gradient_accumulation > 1,
    }
    if names := [name for name, value in settings.items() if value]:
        raise Refusal(
            f"{' and '.join(names)} must not be set for an encoder with a decoder, such as "
            f"{plan.experiment.model}. Choose a causal language model."
        )


def check_pairs(plan: Plan) -> None:
    """Refuse preference pairs with another objective, and their objective with other rows."""
    objective, task = plan.experiment.training.objective, plan.task
    pairs = task.kind == "preference"
    if pairs and not isinstance(objective, Preference):
        raise Refusal(
            f"objective must be preference for the preference pairs of {task.name}, got "
            f"{objective.kind}. Set objective=preference."
        )
    if isinstance(objective, Preference) and not pairs:
        raise Refusal(
            "task must have preference pairs (prompt, chosen, rejected) with objective=preference, "
            f"got {task.name}, a task of kind {task.kind}."
        )


def check_head(plan: Plan) -> None:
    """Refuse a head, or the head-only method "none", for a task without classes."""
    from qtha_lab.adapters import heads

    experiment, task = plan.experiment, plan.task
    if task.kind == "classification":
        if experiment.method.name == "none":
            heads.check_readable(plan.model, heads.layer_name(plan.model))
        return
    if experiment.head:
        raise Refusal(
            f"head must be empty for task {task.name}, which has no classes, got {experiment.head}."
        )
    if experiment.method.name == "none":
        raise Refusal(
            f"method must adapt layers for task {task.name}, which has no classes, got none."
        )


def check_gradients(plan: Plan) -> None:
    """Refuse a gradient-based initialisation of the adapter behind a separate head.

    Such a head has equal logits at its initialisation, so all gradients are zero.
    """
    from qtha_lab.adapters import initialisation_rows

    if not plan.reader:
        return
    config = plan.config
    if initialisation_rows(config) or getattr(config, "init_lora_weights", True) == "lora_ga":
        raise Refusal(
            f"head must be empty for {plan.experiment.method.name}, whose initialisation uses "
            f"gradients, got {plan.reader}. Behind this head, the first gradients are zero."
        )


def check_positions(plan: Plan) -> None:
    """Refuse rows longer than the model's positions; some models have no such limit."""
    experiment = plan.experiment
    training = experiment.training
    max_length, max_new = training.max_length, training.max_new_tokens
    positions = most_positions(plan.model.config)
    if not positions:
        return
    if isinstance(training.objective, Reinforce) and max_length + max_new > positions:
        raise Refusal(
            f"max_length + max_new_tokens must be at most {positions:,} with objective=reinforce, "
            f"the positions of model {experiment.model}, got {max_length:,} + {max_new:,}."
        )
    if training.generate_rows and max_new > positions:
        raise Refusal(
            f"max_new_tokens must be at most {positions:,}, the positions of model "
            f"{experiment.model}, got {max_new:,}."
        )
    if max_length > positions:
        raise Refusal(
            f"max_length must be at most {positions:,}, the positions of model {experiment.model}, "
            f"got {max_length:,}."
        )
