"""A teacher.

Nothing to learn from itself, KL by hand, changes by layer, and whom one cannot learn from.
"""

import copy
import math

import pytest
import torch
from peft import LoraConfig
from support import small_models
from support.refusals import refused
from support.trained_runs import FOUR_STEPS, finished, measured, work
from torch.nn import functional

from qtha_lab import adapters
from qtha_lab.adapters import QthaConfig
from qtha_lab.experiment import Experiment, Training
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import read_events
from qtha_lab.runs.launch import with_absolute_paths
from qtha_lab.training.distillation import Deltas, Logits, divergence, tuner_layers
from qtha_lab.training.objective import Answers

LABELS = small_models.TOKENS.where(torch.arange(6) > 2, torch.tensor(-100))
BATCH = {
    "input_ids": small_models.TOKENS,
    "attention_mask": torch.ones_like(small_models.TOKENS),
    "labels": LABELS,
}
QTHA = QthaConfig(
    r=2, waist=4, bond_dim=2, n_sites=2, n_layers=1, target_modules=small_models.TARGETS["llama"],
    init_weights=False,
)  # fmt: skip


def adapted(config=QTHA):
    """A small model with an adapter whose change is not zero."""
    torch.manual_seed(1)
    return adapters.add_adapter(small_models.make("llama"), copy.deepcopy(config))


def lora():
    """The same model with a LoRA of other numbers."""
    config = LoraConfig(r=2, target_modules=small_models.TARGETS["llama"], init_lora_weights=False)
    return adapted(config)


def gradients(loss, model):
    loss.backward()
    return [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]


@pytest.mark.parametrize("kind", [Logits, Deltas])
def test_who_is_its_own_teacher_has_nothing_to_learn(kind):
    student = adapted()
    loss = kind(adapted(), 1.0, 3.0).loss(student, BATCH, None)
    assert loss.item() == pytest.approx(0, abs=1e-9)
    slopes = gradients(loss, student)
    assert slopes
    assert max(slope.abs().max().item() for slope in slopes) < 1e-6


def test_divergence_is_that_of_two_known_distributions():
    # p = (3/4, 1/4), q = (1/2, 1/2): KL(p ‖ q) = 3/4 ln 3/2 + 1/4 ln 1/2
    theirs = torch.tensor([[math.log(3.0), 0.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert divergence(torch.zeros(1, 2), theirs, 1.0).item() == pytest.approx(expected)
    # at T = 2 the teacher's odds are √3 : 1
    p = math.sqrt(3) / (1 + math.sqrt(3))
    expected = 4 * (p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p)))
    assert divergence(torch.zeros(1, 2), theirs, 2.0).item() == pytest.approx(expected)


def test_t_squared_keeps_gradients_of_one_size():
    """For small differences T² KL is half the variance of the difference, whatever T."""
    theirs = torch.tensor([[0.01, -0.02, 0.01, 0.0]])
    values = [divergence(torch.zeros(1, 4), theirs, t).item() for t in (1.0, 2.0, 4.0)]
    half_variance = theirs.var(unbiased=False).item() / 2
    assert values == pytest.approx([half_variance] * 3, rel=0.02)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_of_logits_is_a_mean_over_answers_of_both_parts(weight):
    student, teacher = adapted(), lora()
    loss = Logits(teacher, weight, 2.0).loss(student, BATCH, None)
    answers = Answers(LABELS)
    inputs = {k: v for k, v in BATCH.items() if k != "labels"}
    ours, theirs = (m(**inputs).logits.flatten(0, 1)[answers.positions] for m in (student, teacher))
    entropy = functional.cross_entropy(ours, answers.tokens)
    expected = (1 - weight) * entropy + weight * divergence(ours, theirs, 2.0).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    half = Logits(teacher, weight, 2.0).loss(student, BATCH, torch.tensor(2 * len(answers.tokens)))
    assert half.item() == pytest.approx(loss.item() / 2, rel=1e-5)


def test_a_student_without_a_change_is_at_distance_one_of_every_teacher():
    config = copy.deepcopy(QTHA)
    config.init_weights = True
    assert Deltas(lora(), 1.0, 1.0).loss(adapted(config), BATCH, None).item() == pytest.approx(1.0)


def test_changes_are_compared_layer_by_layer_at_the_teachers_inputs_without_padding():
    student, teacher = adapted(), lora()
    mask = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    loss = Deltas(teacher, 1.0, 1.0).loss(student, {**BATCH, "attention_mask": mask}, None)
    parts, seen = [], {}
    handles = [
        layer.register_forward_hook(lambda m, args, out, name=name: seen.update({name: args[0]}))
        for name, layer in tuner_layers(teacher).items()
    ]
    with torch.no_grad():
        teacher(input_ids=small_models.TOKENS, attention_mask=mask)
    for handle in handles:
        handle.remove()
    for name, layer in tuner_layers(teacher).items():
        x = seen[name][mask.bool()]
        theirs = layer.lora_B.default(layer.lora_A.default(x)) * layer.scaling["default"]
        other = tuner_layers(student)[name]
        ours = other.changes["default"].delta(other.adapter_tensors("default"), x)
        parts.append(((theirs - ours) ** 2).sum() / (theirs**2).sum())
    assert loss.item() == pytest.approx(torch.stack(parts).mean().item(), rel=1e-4)


def test_the_teacher_is_not_trained():
    teacher, student = lora(), adapted()
    gradients(Logits(teacher, 0.5, 2.0).loss(student, BATCH, None), student)
    assert all(p.grad is None for p in teacher.parameters())
    assert not teacher.training


def test_a_classifier_learns_from_the_logits_of_rows():
    from qtha_lab import models

    def classifier(scale):
        base = models.load_model("tiny", head="classification", n_labels=3)
        torch.manual_seed(0)
        with torch.no_grad():
            base.model.score.weight.normal_().mul_(scale)
        return base.model

    ids = torch.randint(5, 90, (2, 6))
    rows = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.tensor([0, 2]),
    }
    student, teacher = classifier(1.0), classifier(2.0)
    loss = Logits(teacher, 1.0, 1.0).loss(student, rows, None)
    inputs = {k: v for k, v in rows.items() if k != "labels"}
    expected = divergence(student(**inputs).logits, teacher(**inputs).logits, 1.0).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


# whom one cannot learn from


def learning_from(teacher, **fields):
    training = FOUR_STEPS | {"teacher": str(teacher)} | fields.pop("training", {})
    return Experiment(**{"method": "qtha(r=2,waist=4,n_layers=1)"} | fields, training=training)


def with_adapter(experiment, folder):
    """The directory of a run that has an adapter, as far as a name tells."""
    files = RunDir.create(experiment, folder)
    files.adapter.mkdir()
    (files.adapter / "adapter_config.json").write_text("{}")
    return files.path


@pytest.mark.parametrize(
    ("theirs", "ours", "setting", "value"),
    [
        ({"model": "minilm"}, {}, "teacher", "'minilm'"),
        ({"task": "chat"}, {}, "teacher", "'chat'"),
        ({"quantization": "int8"}, {}, "teacher", "'int8'"),
        ({"method": "lora(target_modules=[q_proj])"}, {"training": {"distil": "delta"}},
         "distil=delta", "the model's usual ones"),
    ],
)  # fmt: skip
def test_a_teacher_of_another_model_task_or_layers_is_refused(
    theirs, ours, setting, value, tmp_path
):
    teacher = with_adapter(Experiment(**theirs), tmp_path)
    with refused(setting, value):
        learning_from(teacher, **ours).check()


def test_a_teacher_that_is_not_there_or_not_finished_is_refused(tmp_path):
    with refused("teacher", "'nobody'"):
        learning_from("nobody").check()
    unfinished = RunDir.create(Experiment(), tmp_path)
    with refused("teacher", rule="an adapter"):
        learning_from(unfinished.path).check()
    arm = RunDir.create(Reproduced.arm("coins", "fair", data="coins", steps=1, seed=0), tmp_path)
    with refused("teacher", " an arm of a reproduction"):
        learning_from(arm.path).check()


def test_settings_of_a_teacher_have_their_limits():
    with refused("distil_weight", "1.5"):
        Training(teacher="RUN", distil_weight=1.5)
    with refused("distil_temperature", "0.0"):
        Training(teacher="RUN", distil_temperature=0.0)


def test_a_teacher_that_is_named_by_its_id_is_kept_by_its_folder(tmp_path):
    teacher = with_adapter(Experiment(), tmp_path / "runs")
    described = with_absolute_paths(learning_from(teacher.name))
    assert described.training.teacher_run == str(teacher)


# real runs


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A LoRA that has learnt something."""
    experiment = Experiment(method="lora(r=2,learning_rate=0.05)", training=FOUR_STEPS)
    return finished(experiment, tmp_path_factory.mktemp("teacher")).path


@pytest.mark.slow
def test_a_student_that_begins_as_its_teacher_with_no_other_goal_stays_there(teacher, tmp_path):
    from qtha_lab.adapters import load_adapter
    from qtha_lab.models import load_model

    first, second = (load_adapter(load_model("tiny").model, teacher / "adapter") for _ in range(2))
    ids = torch.randint(5, 90, (2, 8))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
    loss = Logits(second, 1.0, 2.0).loss(first, batch, None)
    assert loss.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("distil", ["logits", "delta"])
def test_a_run_learns_from_its_teacher_and_goes_on_with_the_same_bits(teacher, distil, tmp_path):
    experiment = learning_from(
        teacher, training={"distil": distil, "distil_weight": 1.0, "gradient_accumulation": 2}
    )
    experiment = experiment.replace(method=experiment.method.replace(learning_rate=0.05))
    straight = finished(experiment, tmp_path / "straight")
    losses = [e["loss"] for e in measured(straight) if e["kind"] == "train"]
    assert losses[-1] < losses[0]
    if distil == "delta":
        assert losses[0] == pytest.approx(1.0, abs=1e-5)  # no change yet, at any layer
    stopped = RunDir.create(experiment, tmp_path / "stopped")
    assert work(stopped, until=2).state == "stopped"
    assert work(stopped).state == "finished"
    assert measured(stopped) == measured(straight)


@pytest.mark.slow
def test_a_run_says_what_its_teacher_has_seen(teacher, tmp_path):
    run = finished(learning_from(teacher, seed=1), tmp_path)
    notes = [e["message"] for e in read_events(run.events)[0] if e["kind"] == "note"]
    assert any(
        "was trained with seed 0, so it has seen evaluation rows of this run" in n for n in notes
    )
