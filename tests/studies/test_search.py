"""Search for a circuit: what a space holds, what is known to be best, and what is refused."""

import json

import pytest
import torch
from support.command_line import call
from support.refusals import refused
from support.waiting import PATIENCE

from qtha_lab.adapters import QthaConfig
from qtha_lab.circuits import ansatze
from qtha_lab.core.io import write_json
from qtha_lab.simulators import expval_z
from qtha_lab.studies.architecture_search import SearchBudget, Space, Supernet, search, space_of
from qtha_lab.studies.architecture_search.search import _bred, _draw, costs_of
from qtha_lab.studies.architecture_search.supernet import n_cnots
from qtha_lab.studies.circuit_search import CircuitSearch, CircuitSearchStudy
from qtha_lab.studies.launch import launch, study_in

SMALL = SearchBudget(steps=12, candidates=12, finetune_steps=5, experts=2)


def test_every_point_of_a_space_is_drawn_and_has_a_circuit_of_its_own():
    space = Space(2, 1, rotations="XY")
    net = Supernet(space, experts=1)
    codes = {space.code(net.draw()) for _ in range(200)}
    assert len(codes) == space.n_points == 2**2 * 2
    circuits = {ansatze.build("searched", 2, 1, code=code) for code in codes}
    assert len(circuits) == len(codes)
    assert space.code(space.baseline()) in {"YY-01"}
    assert space.circuit(space.baseline()) == ansatze.build("searched", 2, 1)


def test_circuits_that_turn_alike_share_angles_and_others_do_not():
    net = Supernet(Space(2, 2), experts=2)
    first, alike, other = (
        (("XY", ()), ("ZZ", ())),
        (("XY", ((0, 1),)), ("ZZ", ())),
        (("XX", ()), ("ZZ", ())),
    )
    assert torch.equal(net.of(first, 0), net.of(alike, 0))
    assert not torch.equal(net.of(first, 0), net.of(first, 1))
    assert torch.equal(net.of(first, 0)[2:], net.of(other, 0)[2:])
    assert not torch.equal(net.of(first, 0)[:2], net.of(other, 0)[:2])


def separable(engine):
    """Each output is a function of its own input.

    ClientRounds about Y say it exactly, and CNOTs only add noise.
    """
    x = 2 * torch.randn(24, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = (x + torch.tensor([0.5, -0.7])).cos()

    def cost(circuit, angles):
        return (expval_z(circuit, x, angles, engine) - target).square().mean()

    return cost


@pytest.mark.parametrize("rank", [_draw, _bred])
def test_with_noise_on_cnots_and_a_separable_target_no_cnot_is_returned(rank):
    pytest.importorskip("optuna")
    net = Supernet(Space(2, 1, rotations="Y"), experts=1)
    with torch.no_grad():  # where training ends without CNOTs: cos(x + 0.5) is RY(x), then RY(0.5)
        net.angles[0, 0, 0] = torch.tensor([0.5, -0.7])
    cost = separable("density:noise(depolarizing_2q=0.3)")
    point = rank(net, cost, SearchBudget(candidates=16))
    assert n_cnots(point) == 0
    assert cost(net.space.circuit(point), net.of(point, 0)).item() < 1e-12


def test_the_same_seed_finds_the_same():
    costs = costs_of("surrogate", 2, "density:none", seed=3)
    first, second = (search(Space(2, 1), *costs, SMALL) for _ in range(2))
    assert [f.code for f in first] == [f.code for f in second]
    assert [f.cost for f in first] == [f.cost for f in second]
    assert first[0].n_cnots == n_cnots(first[0].point)


@pytest.mark.parametrize(
    ("text", "setting", "value"),
    [
        (
            "layers(n_qubits=2,n_layers=1,rotations=Y,pairs=none)",
            "The space",
            "YY",
        ),
        ("layers(n_qubits=6)", "n_qubits", "6"),
        ("layers(rotations=YY)", "rotations", "'YY'"),
        ("layers(pairs=ring)", "pairs", "'ring'"),
        ("layers(depth=2)", "option of layers", "'depth'"),
        ("tree(n_qubits=2)", "space", "'tree'"),
    ],
)
def test_what_is_no_space_is_one_sentence(text, setting, value):
    with refused(setting, value):
        space_of(text)


@pytest.mark.parametrize(
    ("code", "setting", "value", "rule"),
    [
        ("XQ", "A layer of a code", "'XQ'", ""),
        ("XYZ", "A layer of a code", "", "2 qubits"),
        ("XY-02", "A layer of a code", "", "2 qubits"),
        ("XY/YY/ZZ", "n_layers", "2", ""),
        ("XY-11", "The wires of CNOT", "(1, 1)", ""),
    ],
)
def test_a_code_that_does_not_fit_is_one_sentence(code, setting, value, rule):
    with refused(setting, value, rule=rule):
        ansatze.build("searched", 2, 2, code=code)


def test_a_find_is_an_ansatz_of_a_method():
    config = QthaConfig(r=2, n_layers=2, ansatz="searched(code=XY-01/ZZ)", waist=8)
    (circuit,) = config.circuits()
    assert circuit == ansatze.build("searched", 2, 2, code="XY-01/ZZ")
    assert config.n_parameters(32, 16) == QthaConfig(
        r=2, n_layers=2, ansatz="basic_entangler", waist=8
    ).n_parameters(32, 16)
    with refused("option of ansatz searched", "'depth'"):
        QthaConfig(r=2, ansatz="searched(depth=3)")
    with refused("n_layers", "3"):
        QthaConfig(r=2, n_layers=3, ansatz="searched(code=XY-01/ZZ)")


def test_the_command_prints_the_find_beside_its_controls(tmp_path):
    words = ["--space", "layers(n_qubits=2,n_layers=1)", "--noise", "noise(depolarizing_2q=0.1)"]
    words += ["--steps", "4", "--candidates", "4", "--finetune", "3", "--out", str(tmp_path / "a")]
    result = call("search", *words, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert json.loads(call("search", *words, "--json").stdout) == rows
    assert [row["name"] for row in rows] == ["search", "random search", "baseline", "product"]
    assert all(0 <= row["loss"] <= 1.5 for row in rows)


def test_a_search_is_a_study_that_stops_and_is_repeated(tmp_path):
    described = CircuitSearch(space="layers(n_qubits=2,n_layers=1)", steps=4, candidates=4)
    study = CircuitSearchStudy(tmp_path / "stopped", lambda step, loss: study.request_stop())
    with pytest.raises(KeyboardInterrupt):
        study.run(described)
    assert (study.state, study.stages()[0].ended) == ("stopped", 0)
    repeated = study_in(study.path).run()
    assert repeated == CircuitSearchStudy(tmp_path / "whole").run(described)
    assert study_in(study.path).state == "finished"
    with refused("The folder"):
        study.run(described.replace(seed=1))
    write_json(study.summary_file, {"circuits": [{"name": "search"}]})
    assert study_in(study.path).run() == repeated


@pytest.mark.slow
def test_a_launched_search_continues_in_a_process_of_its_own(tmp_path):
    described = CircuitSearch(space="layers(n_qubits=2,n_layers=1)", steps=4, candidates=4)
    study = launch(described, tmp_path / "launched").wait(PATIENCE)
    assert study.state == "finished", study.why()
    assert study.circuits()[0]["name"] == "search"
