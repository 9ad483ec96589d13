"""Stages.

What each trains and leaves out, no jump between them, one schedule each, and the same bits when
resumed.
"""

import copy

import pytest
import torch
from safetensors.torch import load_file
from support import small_models
from support.refusals import refused
from support.trained_runs import FOUR_STEPS, finished, measured, work

from qtha_lab import adapters
from qtha_lab.adapters import QthaConfig
from qtha_lab.adapters.phases import Part, as_it_was, check_phases, close, enter
from qtha_lab.adapters.tensor_groups import group_of, trained_groups
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, Training
from qtha_lab.experiment.objectives import Phase, parse_phases
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import read_events

TWO = "linear(steps=4,use_circuit=false),all(steps=4,train=[W_q,angles,B])"
METHOD = "qtha(r=3,waist=8,n_layers=1,bond_dim=2,n_sites=2,learning_rate=0.05)"


def adapted(**options):
    """A small model with QTHA on it, its change not zero."""
    options = {"r": 3, "waist": 8, "n_layers": 1, "bond_dim": 2, "n_sites": 2} | options
    config = QthaConfig(target_modules=small_models.TARGETS["llama"], init_weights=False, **options)
    return adapters.add_adapter(small_models.make("llama"), config)


def trained(model):
    """The groups of the parameters that are trained."""
    return {group_of(name) for name, p in model.named_parameters() if p.requires_grad}


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def optimise(model, steps=3):
    optimizer = torch.optim.AdamW(list(model.parameters()), lr=0.1, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = small_models.run(model).square().mean()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("first", "options"),
    [
        ("use_circuit=false", {}),
        ("use_linear=false", {}),
        ("use_circuit=false", {"stand_in": "cosine"}),
        ("use_circuit=false", {"stand_in": "silu"}),
        ("use_circuit=false", {"stand_in": "bias"}),
        ("train_circuit=false", {}),
    ],
)
def test_no_stage_begins_with_a_jump(first, options):
    model, phases = adapted(**options), parse_phases(f"a(steps=1,{first}),b(steps=1)")
    check_phases(model, phases)
    close(model, phases)
    whole = small_models.logits(model)
    with as_it_was(model):
        enter(model, Part.of(model, phases[0]))
        optimise(model)
        before = small_models.logits(model)
        assert not torch.allclose(before, whole)
    torch.testing.assert_close(small_models.logits(model), before, rtol=0, atol=1e-6)


def test_a_stage_changes_no_bit_of_what_it_does_not_train():
    model, (phase,) = adapted(), parse_phases("a(steps=1,train=[B,angles])")
    before = values(model)
    with as_it_was(model):
        enter(model, Part.of(model, phase))
        assert trained(model) == {"B", "angles"}
        optimise(model)
    changed = {name for name, value in values(model).items() if not value.equal(before[name])}
    assert {group_of(name) for name in changed} == {"B", "angles"}
    assert trained(model) == {"A", "B", "W_c", "W_q", "angles", "cores"}


def test_where_nothing_is_trained_no_bit_changes():
    model = adapted()
    before = values(model)
    enter(model, Part({}, set()))
    optimise(model)
    assert all(value.equal(before[name]) for name, value in values(model).items())


def test_a_part_that_is_left_out_is_not_trained_and_does_not_run():
    model, (phase, _) = adapted(), parse_phases(TWO)
    part = Part.of(model, phase)
    groups = trained_groups(model)
    assert not part.trained & (groups["W_q"] | groups["angles"])
    assert all(not change.circuits() for change in part.changes.values())


def test_layers_of_peft_have_stages_too():
    from peft import LoraConfig

    model = adapters.add_adapter(
        small_models.make("llama"), LoraConfig(r=2, target_modules=["q_proj"])
    )
    (phase,) = parse_phases("a(steps=1,train=[B])")
    part = Part.of(model, phase)
    assert part.trained == trained_groups(model)["B"]


@pytest.mark.parametrize(
    ("phases", "options", "sentence"),
    [
        ("a(steps=1,train=[C]),b(steps=1)", {}, "Unknown group of tensors in phase a 'C'"),
        ("a(steps=1,use_mpo=false),b(steps=1)", {}, "Phase a must only leave parts out, got use_mpo=false"),
        ("a(steps=1,reupload=false),b(steps=1)", {}, "must leave out a part, got reupload=false, which leaves out none"),
        ("a(steps=1,use_circuit=false,train=[W_q]),b(steps=1)", {}, "Phase a has no tensor to train"),
        ("a(steps=1),b(steps=1,use_circuit=false)", {}, "A later phase must have all parts of the earlier ones"),
    ],
)  # fmt: skip
def test_stages_that_a_method_cannot_have_are_refused(phases, options, sentence):
    with pytest.raises(Refusal, match=sentence):
        check_phases(adapted(**options), parse_phases(phases))


def test_a_method_whose_change_would_jump_is_refused():
    class More(adapters.Change):
        def tensors(self):
            return {"b": adapters.TensorSpec((2,))}

        def initialise(self, tensors): ...
        def n_parameters(self):
            return 2

        def delta(self, tensors, x):
            return x

    class Fewer(More):
        def tensors(self):
            return {}

    config, layer = QthaConfig(r=2), adapters.Layer(2, 2)
    assert More(config, layer).joins(More(config, layer)) == ()
    with refused("A later phase of method qtha"):
        More(config, layer).joins(Fewer(config, layer))


@pytest.mark.parametrize(
    ("training", "setting", "value"),
    [
        ({"steps": 9, "phases": TWO}, "phases", "4 + 4 = 8"),
        ({"phases": "a,b(steps=2)"}, "phases.a.steps", ""),
        ({"phases": "a(steps=0)"}, "phases.a.steps", "0"),
        (
            {"phases": "a(steps=2,train=[])"},
            "phases.a.train",
            "[]",
        ),
        ({"phases": "a(steps=2),a(steps=2)"}, "phases: phases", "a twice"),
        ({"phases": 5}, "phases", "5"),
    ],
)
def test_what_is_no_course_of_stages_is_refused(training, setting, value):
    with refused(setting, value):
        Training(**training)


def test_an_experiment_is_refused_before_a_weight_is_loaded():
    def refusal(phases, method="qtha(r=2,waist=4)"):
        with pytest.raises(Refusal) as record:
            Experiment(method=method, training={"steps": 2, "phases": phases}).check()
        return str(record.value)

    assert (
        "The last phase must have no method options, got b(steps=1,use_circuit=false)"
        in refusal("a(steps=1),b(steps=1,use_circuit=false)")
    )
    assert "Unknown setting of method qtha 'use_circut'" in refusal(
        "a(steps=1,use_circut=false),b(steps=1)"
    )
    assert "must set no options for PEFT's own layers" in refusal(
        "a(steps=1,r=4),b(steps=1)", "lora(r=2)"
    )


def test_stages_are_one_setting_in_every_form(tmp_path):
    as_list = [
        {"name": "linear", "steps": 4, "options": {"use_circuit": False}},
        {"name": "all", "steps": 4, "train": ["W_q", "angles", "B"]},
    ]
    described = Experiment(training={"steps": 8, "phases": as_list})
    assert (
        described.training.model_dump()["phases"]
        == "linear(steps=4,use_circuit=false),all(steps=4,train=[W_q,angles,B])"
    )
    assert described == Experiment(training={"steps": 8, "phases": TWO})
    assert Experiment.from_yaml(described.to_yaml()) == described
    yaml = (
        "training:\n  steps: 8\n  phases:\n  - {name: linear, steps: 4, options: {use_circuit:"
        " false}}\n"
    )
    yaml += "  - {name: all, steps: 4, train: [W_q, angles, B]}\n"
    assert Experiment.from_yaml(yaml) == described
    assert "--phases 'linear(steps=4,use_circuit=false)," in described.to_command()
    assert (
        Comparison(training={"steps": 8, "phases": TWO}).experiments()[0].training
        == described.training
    )
    assert parse_phases(TWO)[1] == Phase(name="all", steps=4, train=["W_q", "angles", "B"])


# real runs

TRAINING = FOUR_STEPS | {"steps": 8, "phases": TWO}
EXPERIMENT = Experiment(method=METHOD, training=TRAINING, seed=5)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The run when nothing happens to it."""
    return finished(EXPERIMENT, tmp_path_factory.mktemp("straight"))


@pytest.mark.slow
def test_each_stage_has_its_schedule_and_says_when_it_begins(straight):
    rates = [e["learning_rate"] for e in measured(straight) if e["kind"] == "train"]
    # a warm-up of a tenth of 4 steps is none, so both phases fall from the peak: 4/4, 3/4, 2/4, 1/4
    assert rates == pytest.approx([0.05, 0.0375, 0.025, 0.0125] * 2)
    says = [
        e
        for e in read_events(straight.events)[0]
        if e.get("message", "").startswith("phase") and "again" not in e
    ]
    assert [(e["step"], e["message"]) for e in says] == [
        (4, "phase all(steps=4,train=[W_q,angles,B])")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("until", [2, 4, 6])
def test_a_run_stopped_in_a_stage_or_between_two_goes_on_with_the_same_bits(
    straight, until, tmp_path
):
    files = RunDir.create(EXPERIMENT, tmp_path)
    assert work(files, until=until).state == "stopped"
    assert work(files).state == "finished"
    assert measured(files) == measured(straight)
    one, other = (load_file(f.adapter / "adapter_model.safetensors") for f in (straight, files))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.slow
def test_a_checkpoint_of_the_first_stage_is_the_whole_method_with_the_loss_it_had(
    straight, tmp_path
):
    """W_q is zero until the second phase trains it, so the whole adapter computes what the first
    phase trained.
    """
    files = RunDir.create(EXPERIMENT, tmp_path)
    work(files, until=3)
    from qtha_lab.runs.trained_model import load_run_model
    from qtha_lab.tasks import collate
    from qtha_lab.training.evaluation import evaluating, predict

    loaded = load_run_model(files)
    tensors = load_file(files.checkpoints / "checkpoint-4" / "adapter_model.safetensors")
    assert all(t.eq(0).all() for name, t in tensors.items() if "W_q" in name)
    rows = loaded.plan.task.encode(loaded.plan.task.eval, loaded.base.tokenizer, 24)
    with evaluating(loaded.model):
        loss = predict(loaded.model, rows, collate(loaded.base.tokenizer), 2, lambda: None).loss
    at_four = next(e for e in measured(straight) if e["kind"] == "eval" and e["step"] == 4)
    assert loss == pytest.approx(at_four["loss"], abs=1e-6)


def test_a_model_copied_within_a_stage_is_left_as_it_is():
    model, (phase, _) = adapted(), parse_phases(TWO)
    other = copy.deepcopy(model)
    with as_it_was(model):
        enter(model, Part.of(model, phase))
    assert trained(other) == trained(model)
