"""Starts that are learnt on small circuits.

What a rule in the descriptors comes to, and what a file holds.
"""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.refusals import refused

from qtha_lab import adapters
from qtha_lab.adapters import QthaConfig
from qtha_lab.adapters.bottleneck_regression import silu_surrogate, surrogates_of_run
from qtha_lab.adapters.initialisation.angles import AnglePosition, initialisation_of
from qtha_lab.adapters.initialisation.angles.pretraining import (
    AngleModel,
    MetaTraining,
    Problem,
    angle_descriptors,
    descent,
    kinds_of,
    train_angle_model,
)
from qtha_lab.circuits import ansatze
from qtha_lab.core.errors import Refusal
from tests.support.command_line import call
from tests.support.small_models import logits, make

KINDS = ["CRZ", "RY"]


def rule(circuit):
    """θ_k linear in the descriptors, another constant for each kind."""
    rows = angle_descriptors(circuit, KINDS)
    weights = torch.tensor([0.8, -0.5, 0.3, 0.0, 0.0], dtype=torch.float64)
    return rows.numbers @ weights + torch.tensor([0.2, -0.4]).double()[rows.kinds]


def far_from(circuit) -> Problem:
    target = rule(circuit)
    return Problem(circuit, lambda angles: (angles - target).square().sum())


def test_a_rule_linear_in_the_descriptors_is_learnt_and_holds_at_twice_the_size():
    problems = [far_from(ansatze.build("qtha", n, layers)) for n in (3, 4) for layers in (1, 2)]
    model = train_angle_model(problems, MetaTraining(epochs=300, learning_rate=3e-2))
    for n, layers in ((4, 2), (8, 2), (8, 4)):
        circuit = ansatze.build("qtha", n, layers)
        assert (model.angles(circuit) - rule(circuit)).abs().max() < 1e-3, (n, layers)


def test_a_table_knows_kinds_and_layers_alone():
    circuit = ansatze.build("qtha", 3, 2)
    model = train_angle_model(
        [far_from(circuit)], MetaTraining(epochs=200, learning_rate=3e-2), table=True
    )
    rows = angle_descriptors(circuit, KINDS)
    angles, target = model.angles(circuit), rule(circuit)
    for kind in range(2):
        for layer in rows.layers.unique():
            cell = (rows.kinds == kind) & (rows.layers == layer)
            if cell.any():  # the best constant is the mean
                assert angles[cell].mean() == pytest.approx(target[cell].mean().item(), abs=1e-3)
                assert angles[cell].std() < 1e-12 or cell.sum() == 1


def test_the_meta_gradient_is_that_of_the_losses_at_all_steps():
    """A parabola (θ - 1)²: slopes at θ_s sum to 2 Σ (1 - 2η)^s (θ_0 - 1)."""
    circuit = ansatze.build("qtha", 2, 1)
    problem = Problem(circuit, lambda angles: (angles - 1).square().sum())
    start = torch.zeros(circuit.n_params, dtype=torch.float64)
    gradients = [gradient for _, gradient, _ in descent(problem, start, steps=3, rate=0.05)]
    expected = [-2 * 0.9**s for s in range(4)]
    assert torch.allclose(torch.stack(gradients)[:, 0], torch.tensor(expected).double())


def test_what_is_learnt_on_small_circuits_is_a_better_start_on_a_larger_one(tmp_path):
    problems = [
        Problem(circuit, silu_surrogate(n, seed).cost(circuit))
        for n in (2, 3)
        for circuit in [ansatze.build("qtha", n, 1)]
        for seed in range(4)
    ]
    train_angle_model(problems, MetaTraining(epochs=15)).save(tmp_path / "angles")
    circuit = ansatze.build("qtha", 4, 2)
    learnt = initialisation_of(f"flip({tmp_path / 'angles'})").angles(AnglePosition(circuit), None)
    drawn = (2 * torch.rand(8, circuit.n_params, dtype=torch.float64) - 1) * torch.pi
    costs = [silu_surrogate(4, seed).cost(circuit) for seed in range(100, 104)]
    at_learnt = sum(cost(learnt) for cost in costs) / 4
    at_random = sum(cost(angles) for cost in costs for angles in drawn) / 32
    assert at_learnt < at_random


def test_an_adapter_starts_from_a_file_and_is_loaded_without_it(tmp_path):
    circuit = ansatze.build("qtha", 3, 2)
    file = tmp_path / "angles"
    train_angle_model([far_from(circuit)], MetaTraining(epochs=2)).save(file)
    config = QthaConfig(
        r=3, waist=8, n_layers=2, angles=f"flip({file})", target_modules=["q_proj"],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    adapters.check_angles(make("llama"), config)
    model = adapters.add_adapter(make("llama"), config)
    adapters.initial_angles(model)
    expected = AngleModel.load(file).angles(circuit).float()
    held = [p for name, p in model.named_parameters() if "qtha_params" in name]
    assert held
    assert all(torch.equal(p, expected) for p in held)
    model.save_pretrained(tmp_path / "adapter")
    file.unlink()
    loaded = adapters.load_adapter(make("llama"), tmp_path / "adapter")
    assert torch.equal(logits(loaded), logits(model))


def test_files_of_other_circuits_are_refused_before_use(tmp_path):
    base = make("llama")
    train_angle_model([far_from(ansatze.build("qtha", 3, 1))], MetaTraining(epochs=1)).save(
        tmp_path / "angles"
    )
    (tmp_path / "text").write_text("no tensors")
    for name, ansatz, text in (
        (
            "nowhere",
            "qtha",
            "nowhere must be a file of trained angles, got no file. .*qtha-lab init learn",
        ),
        ("text", "qtha", "(cannot be read|must be a whole safetensors file)"),
        (
            "angles",
            "strongly_entangling",
            "must train angles of CRZ, RY, .* got Rot.0, Rot.1, Rot.2",
        ),
    ):
        config = QthaConfig(
            r=3, waist=8, ansatz=ansatz, angles=f"flip({tmp_path / name})",
            target_modules=["q_proj"], task_type="CAUSAL_LM",
        )  # fmt: skip
        with pytest.raises(Refusal, match=text):
            adapters.check_angles(base, config)


@pytest.mark.parametrize(
    "changed",
    [
        {"n_layers": "two"},
        {"n_layers": "999999999999"},
        {"n_layers": "-1"},
        {"kinds": "3"},
        {"kinds": "["},
        {"kinds": json.dumps(["a"] * 100_000)},
        {"form": "another"},
        {"kinds": None},
    ],
    ids=str,
)
def test_a_file_with_damaged_notes_is_a_sentence(tmp_path, changed):
    file = tmp_path / "angles"
    train_angle_model([far_from(ansatze.build("qtha", 3, 1))], MetaTraining(epochs=1)).save(file)
    with safe_open(file, "pt") as saved:
        notes = saved.metadata() | changed
    notes = {name: note for name, note in notes.items() if note is not None}
    save_file(load_file(file), file, metadata=notes)
    with pytest.raises(Refusal) as refusal:
        AngleModel.load(file)
    assert str(file) in str(refusal.value)
    assert len(str(refusal.value)) <= 300


def test_descriptors_of_a_gate_are_those_of_its_place():
    circuit = ansatze.build("qtha", 4, 2)
    rows = angle_descriptors(circuit, kinds_of(circuit))
    assert kinds_of(circuit) == KINDS
    assert len(rows.kinds) == circuit.n_params
    by_index = {a.index: gate for gate in circuit.gates for a in gate.angles if a.source == "param"}
    for index, gate in by_index.items():
        assert KINDS[rows.kinds[index]] == gate.name
        assert rows.numbers[index][1] * 4 == gate.wires[0]
    assert rows.numbers.min() >= 0
    assert rows.numbers.max() <= 1


def test_a_runs_map_is_what_its_bottleneck_gives(tmp_path):
    config = QthaConfig(
        r=2, waist=8, n_layers=1, target_modules=["q_proj"], task_type="CAUSAL_LM",
        init_weights=False,
    )  # fmt: skip
    model = adapters.add_adapter(make("llama"), config)
    model.save_pretrained(tmp_path)
    tasks = list(surrogates_of_run(str(tmp_path)))
    assert len(tasks) == 2  # one of each block
    circuit = config.circuits()[0]
    held = [p.detach().double() for n, p in model.named_parameters() if "qtha_params" in n]
    assert tasks[0].cost(circuit)(held[0]) < 1e-4  # its own angles leave nothing
    assert tasks[0].cost(circuit)(held[0] + 1) > 1e-2
    linear = QthaConfig(r=2, waist=8, use_circuit=False, target_modules=["q_proj"])
    adapters.add_adapter(make("llama"), linear).save_pretrained(tmp_path / "linear")
    with refused("The run", "'"):
        list(surrogates_of_run(str(tmp_path / "linear")))


def test_the_command_writes_a_file_and_says_what_it_gives(tmp_path):
    file = tmp_path / "angles"
    arguments = ["init", "learn", "--methods", "qtha(r=2..3,n_layers=1)", "--epochs", "2"]
    result = call(*arguments, "--out", str(file), "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["unseen"]
    assert {(row["qubits"], row["start"]) for row in rows} == {
        (n, s) for n in (2, 3) for s in ("uniform", "small", "learnt")
    }
    assert AngleModel.load(file).kinds == KINDS
