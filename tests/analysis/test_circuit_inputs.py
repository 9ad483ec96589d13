"""Why a circuit is heard or not: angles, constant part and power of its branch, on real rows."""

import math

import pytest
import torch
from support.small_models import TARGETS, TOKENS, make

from qtha_lab.adapters import QthaConfig, add_adapter
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.analysis.updates.activations import bottlenecks, capture_inputs
from qtha_lab.experiment.run_directory.schema import is_event
from qtha_lab.figures.circuit_history import circuit_history
from qtha_lab.figures.circuit_inputs import by_block, circuit_inputs, over_steps
from qtha_lab.training.objective import perturb

SMALL = {"r": 2, "use_mpo": False, "n_layers": 1, "target_modules": TARGETS["llama"]}


MANY = torch.cat([TOKENS, TOKENS.flip(1)])  # enough to fit an affine map


def adapted(**options):
    torch.manual_seed(0)
    return add_adapter(make("llama"), QthaConfig(**SMALL | options))


def tensors(model):
    layers = [m for m in model.modules() if isinstance(m, AdapterLayer)]
    return [layer.adapter_tensors("default") for layer in layers]


@torch.no_grad()
def test_angles_are_those_that_the_circuit_is_fed():
    model = adapted()
    facts = bottlenecks(model, {"input_ids": TOKENS})
    inputs = capture_inputs(model, {"input_ids": TOKENS})
    assert len(facts) == 4
    for (name, fact), parts in zip(facts.items(), tensors(model), strict=True):
        h = inputs[name] @ parts["A"].mT
        assert fact.angle_std == pytest.approx(float(h.std()), rel=1e-5)
        assert fact.beyond_pi == pytest.approx(float((h.abs() > math.pi).float().mean()))
    assert [fact.block for fact in facts.values()] == [0, 0, 1, 1]
    assert {fact.affine_part for fact in facts.values()} == {None}  # of twelve tokens


@torch.no_grad()
def test_a_wider_input_goes_round_more_often():
    near, far = (
        bottlenecks(adapted(input_scale=scale), {"input_ids": MANY}) for scale in (0.1, 50.0)
    )
    for name in near:
        assert far[name].angle_std == pytest.approx(500 * near[name].angle_std, rel=1e-3)
        assert near[name].beyond_pi < far[name].beyond_pi
        assert near[name].affine_part > far[name].affine_part


@torch.no_grad()
def test_a_bias_is_all_constant_and_has_the_power_of_its_square():
    model = adapted(stand_in="bias")
    for parts in tensors(model):
        parts["b"].fill_(0.5)
        parts["W_c"].copy_(torch.eye(2))
        parts["A"].zero_()
        parts["A"][:, 0] = 1.0
    inputs = capture_inputs(model, {"input_ids": MANY})
    for name, fact in bottlenecks(model, {"input_ids": MANY}).items():
        assert fact.constant_part == pytest.approx(1)
        assert fact.affine_part == pytest.approx(1)
        assert fact.branch_power == pytest.approx(0.25 / float(inputs[name][:, 0].square().mean()))


def test_a_circuit_without_a_linear_branch_has_no_power_beside_it():
    facts = bottlenecks(adapted(use_linear=False), {"input_ids": TOKENS})
    assert {fact.branch_power for fact in facts.values()} == {None}


def test_a_method_without_a_bottleneck_has_no_facts():
    assert bottlenecks(adapted(use_circuit=False), {"input_ids": TOKENS}) == {}


def test_a_record_is_an_event_and_a_figure_by_block():
    layer = {"angle_std": 1.0, "beyond_pi": 0.0, "constant_part": 0.5, "branch_power": 0.2}
    events = [
        {"kind": "bottleneck", "step": step, "layers": {
            "q": layer | {"block": 0}, "v": layer | {"block": 0, "branch_power": power},
        }}
        for step, power in ((0, 0.4), (100, 0.8))
    ]  # fmt: skip
    assert all(map(is_event, events))
    facts = by_block(over_steps(events))
    assert facts["start"][0]["branch_power"] == pytest.approx(0.3)
    assert facts["end"][0]["branch_power"] == pytest.approx(0.5)
    assert "qtha 0.5 to 0.5" in circuit_inputs({"qtha": facts}).alt
    assert by_block(over_steps([])) == {}


def test_over_training_there_is_a_line_for_every_block_and_a_word_for_what_has_none():
    layer = {"angle_std": 1.0, "beyond_pi": 0.0, "constant_part": 0.5, "branch_power": 0.2}
    events = [
        {
            "kind": "bottleneck",
            "step": step,
            "layers": {f"q{b}": layer | {"block": b} for b in (0, 1)},
        }
        for step in (0, 50, 100)
    ]
    history = over_steps(events)
    assert list(history) == [0, 50, 100]
    figure = circuit_history({"qtha": history}, without=["lora"])
    assert figure.alt.endswith("qtha 0.2 at step 0, 0.2 at step 100. No circuit: lora.")
    lines = [list(trace.x) for trace in figure.plotly.data]
    assert lines == [[0, 50, 100]] * 8  # two blocks of four numbers; none recorded an affine part
    assert "affine" not in str(figure.plotly.layout)


def test_a_perturbation_changes_every_trained_number_by_one_unit_and_nothing_else():
    model = adapted()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    state = torch.get_rng_state()
    perturb(model, 1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, parameter in model.named_parameters():
        moved = parameter.detach() != before[name]
        assert torch.equal(moved, (before[name] != 0) & parameter.requires_grad)
        if parameter.requires_grad:
            unit = torch.nextafter(before[name].abs(), torch.tensor(torch.inf)) - before[name].abs()
            assert ((parameter.detach() - before[name]).abs() <= unit).all()
    first = {name: p.detach().clone() for name, p in model.named_parameters()}
    perturb(model, 0)
    assert all(torch.equal(p, first[name]) for name, p in model.named_parameters())
