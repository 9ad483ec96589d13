"""Distillation losses between a frozen teacher and the trained adapter.

`Logits` follows the teacher's distribution over the next token or class; `Deltas` follows the
teacher's output change at each layer. Both give a batch loss whose gradient reaches the student
alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float, Int
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab import adapters, models
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.objectives import Distillation, teacher_folder
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import load_run_plugins
from qtha_lab.tasks.task import IGNORED
from qtha_lab.training.objective import Answers, Objective, has_plain_loss


class TeacherObjective(Objective):
    """Distillation objective with a frozen teacher in evaluation mode.

    Args:
        teacher: Teacher model.
        weight: Share of the distillation term in the loss.
        temperature: Divisor of the logits before they are compared.
    """

    def __init__(self, teacher: nn.Module, weight: float, temperature: float) -> None:
        self.teacher = teacher.eval().requires_grad_(False)
        self.weight, self.temperature = weight, temperature


class Logits(TeacherObjective):
    """Distillation on the output logits.

    Loss: (1 − λ) · cross-entropy + λ · T² · KL(teacher ‖ student) at temperature T, in nats per
    label.

    Source:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2, for the factor T².
    """

    def loss(self, student, batch, items):
        labels, inputs = batch["labels"], {k: v for k, v in batch.items() if k != "labels"}
        with torch.no_grad():
            theirs, _ = _logits(self.teacher, inputs, labels)
        ours, actual = _logits(student, inputs, labels)
        count = len(actual) if items is None else items
        distance = divergence(ours, theirs, self.temperature).sum()
        entropy = functional.cross_entropy(ours, actual, reduction="sum")
        return ((1 - self.weight) * entropy + self.weight * distance) / count


class Deltas(TeacherObjective):
    """Distillation on the output change Δy of each adapted layer.

    Loss: mean over the layers of ‖Δy_teacher − Δy_student‖² / ‖Δy_teacher‖², at the teacher's
    inputs of each layer. The student runs no full forward pass and reads no label: each layer is
    trained independently.
    """

    counts_labels = False

    def __init__(self, teacher: nn.Module, weight: float, temperature: float) -> None:
        super().__init__(teacher, weight, temperature)
        self.layers = tuner_layers(teacher)

    def loss(self, student, batch, items):
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        students = tuner_layers(student)
        with torch.no_grad(), self._recorded() as records:
            self.teacher(**inputs)
        mask = inputs["attention_mask"].bool()
        parts = []
        for name, (x, theirs) in records.items():
            ours = _change(students[name], x)
            rows = mask if x.shape[:2] == mask.shape else slice(None)  # exclude padding
            size = theirs[rows].square().sum().clamp(min=torch.finfo(torch.float32).tiny)
            parts.append((theirs[rows] - ours[rows]).square().sum() / size)
        return torch.stack(parts).mean()

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
        """Yield a mapping that collects each layer's input and output change by layer name."""
        records: dict[str, tuple[Tensor, Tensor]] = {}

        def record(name: str):
            def hook(layer: nn.Module, arguments: tuple, output: Tensor) -> None:
                base: nn.Module = layer.get_base_layer()  # pyright: ignore[reportCallIssue]
                records[name] = arguments[0], output - base(arguments[0])

            return hook

        handles = [layer.register_forward_hook(record(n)) for n, layer in self.layers.items()]
        try:
            yield records
        finally:
            for handle in handles:
                handle.remove()


KINDS: dict[str, type[TeacherObjective]] = {"logits": Logits, "delta": Deltas}


def divergence(
    ours: Float[Tensor, "labels n"], theirs: Float[Tensor, "labels n"], temperature: float
) -> Float[Tensor, " labels"]:
    """Compute T² · KL(theirs ‖ ours) per label, in nats.

    The factor T² makes the gradient's magnitude independent of the temperature.

    Example:
        >>> divergence(torch.zeros(1, 2), torch.tensor([[0.0, 20.0]]), 1.0)  # ln 2
        tensor([0.6931])
    """
    first, second = (functional.log_softmax(x.float() / temperature, -1) for x in (ours, theirs))
    apart = functional.kl_div(first, second, reduction="none", log_target=True)
    return temperature**2 * apart.sum(-1)


def load_teacher(plan: Plan) -> TeacherObjective | None:
    """Load the teacher of a plan's experiment, or return None if no teacher is set.

    Raises:
        Refusal: If the teacher's run is missing, or a plugin that the run uses was changed.
    """
    training, objective = plan.experiment.training, plan.experiment.training.objective
    if not isinstance(objective, Distillation):
        return None
    folder = teacher_folder(objective.teacher)
    described = RunDir(folder).experiment
    load_run_plugins(RunDir(folder))
    base = models.load_model(
        described.model,
        head=plan.head,
        n_labels=plan.n_labels,
        dtype=training.precision,
        quantization=described.quantization,
        head_seed=described.seed,
    )
    model = adapters.load_adapter(base.model, folder / "adapter")
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    return KINDS[objective.target](model, objective.weight, objective.temperature)


def seen_before(plan: Plan) -> str | None:
    """Return a warning if the teacher's split differs from this run's split.

    A teacher with another seed was trained on evaluation rows of this run. None if the seeds are
    equal or no teacher is set.
    """
    teacher = plan.experiment.training.teacher_run
    if not teacher:
        return None
    folder = teacher_folder(teacher)
    seed = RunDir(folder).experiment.seed
    if seed == plan.experiment.seed:
        return None
    return (
        f"Teacher {folder.name} was trained with seed {seed}, so it has seen evaluation rows of "
        "this run. No run has seen the test rows."
    )


def tuner_layers(model: nn.Module) -> Mapping[str, nn.Module]:
    """Return the adapted layers of a model by name.

    Raises:
        Refusal: If the model has no adapted layer.
    """
    layers: dict[str, nn.Module] = dict(model.named_modules())
    layers = {name: layer for name, layer in layers.items() if isinstance(layer, BaseTunerLayer)}
    if not layers:
        raise Refusal("distil=delta must have adapted layers, got a model with none.")
    return layers


def _change(layer: nn.Module, x: Tensor) -> Tensor:
    """Compute the adapter's change of the layer output."""
    base: nn.Module = layer.get_base_layer()  # pyright: ignore[reportCallIssue]
    with torch.no_grad():
        before = base(x)
    return layer(x) - before


def _logits(
    model: nn.Module, inputs: dict[str, Tensor], labels: Tensor
) -> tuple[Float[Tensor, "labels n"], Int[Tensor, " labels"]]:
    """Return logits and labels of labelled positions: answer tokens, or rows of a classifier."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if not has_plain_loss(model):
        logits = model(**inputs).logits
        if logits.dim() > 2:
            raise Refusal(
                f"A distilled model must have the standard loss, got {type(base).__name__}."
            )
        return logits, labels
    answers = Answers(labels)
    with answers.at_the_head(model):
        logits = answers.select(model(**inputs).logits)
    assert IGNORED not in answers.tokens
    return logits, answers.tokens
