"""`qtha-lab ansatze show`: one table for any ansatze, the same numbers as from Python."""

import json

import pytest
from support.refusals import refused
from typer.testing import CliRunner

from qtha_lab.analysis.circuits.ansatz_profile import profile_ansatz, profile_table
from qtha_lab.circuits import ansatze
from qtha_lab.cli import load_commands


def call(*words: str):
    return CliRunner().invoke(load_commands(), ["ansatze", "show", *words], env={"COLUMNS": "200"})


def test_ansatze_stand_side_by_side():
    answer = call(
        "qtha,brickwork(block=ry_cz)", "--qubits", "3", "--layers", "1", "--samples", "20"
    )
    assert answer.exit_code == 0, answer.output
    for message in ("qtha", "brickwork(block=ry_cz)", "at random", "Lie algebra dim.", "1 layer,"):
        assert message in answer.output


def test_one_qubit_has_no_cuts_and_a_circuit_is_drawn():
    answer = call("product", "--qubits", "1", "--layers", "1", "--samples", "5", "--draw")
    assert answer.exit_code == 0, answer.output
    assert "middle cut" not in answer.output
    assert "0: ──RY(x0)─RZ(p0)" in answer.output


def test_json_has_the_numbers_of_python():
    answer = call("product", "--qubits", "2", "--layers", "1", "--samples", "20", "--json")
    result = json.loads(answer.output)["product"]
    profile = profile_ansatz(ansatze.build("product", 2, 1), n_samples=20)
    assert result["expressibility"]["kl"] == pytest.approx(profile.expressibility.kl)
    assert result["lie_algebra"]["dimension"] == 3 * 2  # su(2) on each qubit
    assert result["hardware"]["two_qubit_gates"] == 0


@pytest.mark.parametrize("name", ansatze.names())
def test_every_ansatz_has_a_profile(name):
    n_qubits = max(3, ansatze.get(name).min_qubits)
    profiles = {name: profile_ansatz(ansatze.build(name, n_qubits, 1), n_samples=10)}
    table = profile_table(profiles)
    assert all(len(row) == 3 for row in table)
    assert dict(row[:2] for row in table)["trainable angles"] == str(
        ansatze.get(name).n_params(n_qubits, 1)
    )


def test_what_is_not_closed_is_said_and_nothing_else_is_lost():
    table = profile_table({"qtha": profile_ansatz(ansatze.build("qtha", 9, 1), n_samples=5)})
    assert table[-1][:2] == ("Lie algebra dim.", "not closed")


def test_refusals_are_sentences():
    assert "did you mean 'qtha'" in str(call("qhta").exception)
    assert "'zeros', 'uniform'" in str(call("qtha", "--inputs", "ones").exception)
    small, large = (profile_ansatz(ansatze.build("qtha", n, 1), n_samples=5) for n in (2, 3))
    with refused("Compared profiles", "[(2, 'grid', 'Z0'), (3, 'grid', 'Z0')]"):
        profile_table({"small": small, "large": large})
