"""Circuits on chips.

Schedules, routing and native gates keep what a circuit does, and are counted.
"""

import math

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import assert_same_up_to_phase, circuits, matrix_of
from support.refusals import refused

from qtha_lab.circuits import (
    GATES,
    Angle,
    Circuit,
    Gate,
    ansatze,
    compile_for,
    general_two_qubit,
    hardware_cost,
    preparation,
    to_pennylane,
)
from qtha_lab.circuits.drawing import commute
from qtha_lab.circuits.hardware import reordered
from qtha_lab.circuits.native_gates import native_steps
from qtha_lab.circuits.routing import Topology, route

CHIPS = ["line", "ring", "grid:2x3", "all-to-all"]


# schedules


@pytest.mark.parametrize(("n_qubits", "steps"), [(4, 2), (6, 2), (10, 2), (3, 3), (5, 3), (9, 3)])
def test_a_ring_of_commuting_gates_takes_two_steps_or_three_if_odd(n_qubits, steps):
    # edges of an even ring take two colours, of an odd ring three; in the order written the last
    # gate waits for all others
    ring = [Gate("CRZ", (i, (i + 1) % n_qubits), Angle.param(i)) for i in range(n_qubits)]
    circuit = Circuit(n_qubits, ring)
    assert circuit.two_qubit_depth() == circuit.depth() == n_qubits
    assert circuit.two_qubit_depth(commuting=True) == circuit.depth(commuting=True) == steps


def test_rings_between_rotations_are_two_steps_each():
    circuit = ansatze.build("qtha", 6, 3)
    assert circuit.two_qubit_depth(commuting=True) == 3 * 2 * 2  # layers, rings, steps
    assert circuit.depth(commuting=True) == 3 * (2 * 2 + 3)  # RY three times per layer


@pytest.mark.parametrize("name", ansatze.names())
def test_letting_gates_change_places_never_takes_longer(name):
    circuit = ansatze.build(name, 5, 2)
    assert circuit.depth(commuting=True) <= circuit.depth()
    assert circuit.two_qubit_depth(commuting=True) <= circuit.two_qubit_depth()


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_reordered_circuits_do_the_same(circuit):
    moved = reordered(circuit)
    assert sorted(map(str, moved.gates)) == sorted(map(str, circuit.gates))
    assert_same_up_to_phase(matrix_of(moved), matrix_of(circuit))


@pytest.mark.parametrize("name", GATES)
def test_gates_that_are_said_to_commute_do(name):
    angles = (0.7, -1.9, 2.6)
    one = Gate(name, range(GATES[name].n_wires), angles[: GATES[name].n_angles])
    for kind in GATES.values():
        for wires in [(0,), (1,)] if kind.n_wires == 1 else [(0, 1), (1, 0), (1, 2), (2, 0)]:
            other = Gate(kind.name, wires, angles[: kind.n_angles])
            if commute(one, other):
                a, b = (matrix_of(Circuit(3, [gate])) for gate in (one, other))
                np.testing.assert_allclose(a @ b, b @ a, atol=1e-12, err_msg=f"{one}, {other}")


# native gates


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_native_gates_do_the_same(circuit):
    steps = native_steps(circuit)
    gates = [gate for step in steps for gate in step.gates]
    assert {gate.name for gate in gates if len(gate.wires) == 2} <= {"CZ"}
    assert_same_up_to_phase(matrix_of(Circuit(circuit.n_qubits, gates)), matrix_of(circuit))
    for number, step in enumerate(steps):  # no two U3 in a row on one wire
        later = next((s for s in steps[number + 1 :] if set(s.wires) & set(step.wires)), None)
        assert later is None or len(step.wires) == 2 or len(later.wires) == 2


@pytest.mark.parametrize(
    ("gates", "one_qubit", "two_qubit"),
    [
        ([Gate("RY", 0, 0.3)], 1, 0),
        ([Gate("RY", 0, 0.3), Gate("RZ", 0, Angle.input(0)), Gate("H", 0)], 1, 0),  # one U3
        ([Gate("RX", 0, 0.0), Gate("RZ", 1, 2 * math.pi)], 0, 0),  # nothing, up to a phase
        ([Gate("CZ", (0, 1))], 0, 1),
        ([Gate("CNOT", (0, 1))], 2, 1),  # H · CZ · H
        ([Gate("CNOT", (0, 1))] * 2, 0, 0),
        ([Gate("CNOT", (0, 1)), Gate("CNOT", (1, 0))], 4, 2),
        ([Gate("SWAP", (0, 1))], 6, 3),  # H on the three targets, before and after
        ([Gate("CRZ", (0, 1), Angle.param(0))], 3, 2),  # H, CZ, H RZ H, CZ, H, all on the target
        ([Gate("IsingZZ", (0, 1), math.pi / 2)], 2, 1),  # a CZ up to quarter turns
        ([Gate("H", 0), Gate("H", 0), Gate("X", 1)], 1, 0),
        ([Gate("CZ", (0, 1)), Gate("CZ", (1, 0))], 0, 0),
        ([Gate("CPhase", (0, 1), math.pi)], 0, 1),
    ],
)
def test_known_counts(gates, one_qubit, two_qubit):
    cost = hardware_cost(Circuit(2, gates), "all-to-all")
    assert (cost.one_qubit_gates, cost.two_qubit_gates) == (one_qubit, two_qubit)


@pytest.mark.parametrize(
    ("gates", "two_qubit"),
    [
        # the entangling part of all of these is a sum of XX, YY and ZZ, three CZ at most
        ([Gate("CRZ", (0, 1), Angle.param(0)), Gate("SWAP", (0, 1))], 3),
        ([Gate("SWAP", (1, 0)), Gate("CRZ", (0, 1), Angle.param(0))], 3),
        ([Gate("CZ", (0, 1)), Gate("RY", 0, Angle.input(0)), Gate("SWAP", (0, 1))], 2),  # iSWAP
        ([Gate("CZ", (0, 1)), Gate("RY", 0, Angle.input(0)), Gate("CZ", (0, 1))], 2),
        ([Gate("CPhase", (0, 1), 0.3), Gate("IsingZZ", (1, 0), Angle.param(0))], 2),
        (general_two_qubit((0, 1), map(Angle.param, range(15))), 3),
        (2 * general_two_qubit((0, 1), map(Angle.param, range(15))), 6),  # not seen as one block
    ],
)
def test_neighbours_on_a_pair_are_added_up(gates, two_qubit):
    circuit = Circuit(2, gates)
    assert hardware_cost(circuit, "line").two_qubit_gates == two_qubit
    assert_same_up_to_phase(matrix_of(compile_for(circuit, "line").circuit), matrix_of(circuit))


def test_any_unitary_takes_three_cz_at_most():
    for seed in range(5):
        generator = np.random.default_rng(seed)
        matrix, _ = np.linalg.qr(generator.normal(size=(4, 4)))
        circuit = Circuit(2, [Gate.unitary(matrix, (0, 1))])
        assert hardware_cost(circuit, "line").two_qubit_gates <= 3


# routing


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(circuits(), st.sampled_from(CHIPS), st.booleans())
def test_compiled_circuits_do_the_same_and_use_only_neighbours(circuit, chip, reorder):
    compiled = compile_for(circuit, chip, reorder)
    placed = Topology.named(chip, circuit.n_qubits)
    for gate in compiled.circuit.gates:
        assert len(gate.wires) == 1 or gate.wires[1] in placed.neighbours[gate.wires[0]]
    before, after = (
        _embedding(where, compiled.circuit.n_qubits) for where in (compiled.first, compiled.last)
    )
    result = after.T @ matrix_of(compiled.circuit) @ before
    assert_same_up_to_phase(result, matrix_of(circuit))


def _embedding(where, n_chip):
    """Basis states of a circuit's qubits as those of the chip, where the other qubits are 0."""
    n_qubits = len(where)
    embedding = np.zeros((2**n_chip, 2**n_qubits))
    for state in range(2**n_qubits):
        bits = [state >> (n_qubits - 1 - qubit) & 1 for qubit in range(n_qubits)]
        embedding[sum(b << (n_chip - 1 - q) for b, q in zip(bits, where, strict=True)), state] = 1
    return embedding


@pytest.mark.parametrize("n_qubits", [4, 6, 8])
def test_no_more_swaps_than_pennylanes_router(n_qubits):
    circuit = ansatze.build("qtha", n_qubits, 2)
    operations = to_pennylane(circuit, np.ones(n_qubits), np.ones(circuit.n_params))
    tape = qml.tape.QuantumScript(operations, [qml.probs(wires=range(n_qubits))])
    line = [(i, i + 1) for i in range(n_qubits - 1)]
    (theirs,), _ = qml.transforms.transpile(tape, line)
    swaps = sum(operation.name == "SWAP" for operation in theirs.operations)
    assert 0 < compile_for(circuit, "line").swaps <= swaps


@pytest.mark.parametrize("chip", ["ring", "grid", "all-to-all"])
@pytest.mark.parametrize("n_qubits", [4, 8, 20])
def test_even_rings_lie_on_rings_and_grids_as_they_are(n_qubits, chip):
    cost = hardware_cost(ansatze.build("qtha", n_qubits, 2), chip)
    assert cost.swaps == 0
    assert cost.two_qubit_gates == 2 * 2 * n_qubits * 2  # layers, rings, CRZ, CZ each
    assert cost.two_qubit_depth == 2 * 2 * 2 * 2  # layers, rings, even and odd, CZ each
    as_written = hardware_cost(ansatze.build("qtha", n_qubits, 2), chip, reorder=False)
    assert as_written.two_qubit_gates == cost.two_qubit_gates
    assert as_written.two_qubit_depth > cost.two_qubit_depth


def test_blocks_of_four_lie_in_squares():
    assert hardware_cost(ansatze.build("block_diagonal", 8, 2)).swaps == 0


def test_the_default_chip_is_the_grid_of_twenty():
    grid = Topology.named("grid", 20)
    assert grid.n_qubits == 20
    # a 4×5 grid: 4 rows of 4 edges across, 5 columns of 3 edges down
    assert sum(map(len, grid.neighbours)) / 2 == 4 * 4 + 5 * 3
    assert max(map(len, grid.neighbours)) == 4
    cost = hardware_cost(Circuit(3, [Gate("CZ", (0, 1))]))
    assert (cost.topology, cost.chip_qubits) == ("grid", 20)


def test_every_layout_gives_each_qubit_a_place_of_its_own():
    for chip in [*CHIPS, "grid", "grid:3x3"]:
        for n_qubits in range(1, 7):
            for layout in Topology.named(chip, n_qubits).layouts(n_qubits):
                assert len(set(layout)) == n_qubits


def test_depth_counts_u3_and_cz():
    cost = hardware_cost(Circuit(2, [Gate("CNOT", (0, 1))]), "line")
    assert (cost.depth, cost.two_qubit_depth, cost.swaps) == (3, 1, 0)
    far = Circuit(3, [Gate("CZ", (0, 1)), Gate("CZ", (1, 2)), Gate("CZ", (0, 2))])
    cost = hardware_cost(far, "line")
    assert (cost.swaps, cost.two_qubit_gates) == (1, 3 + 3)


def test_amplitudes_cost_their_preparation():
    # uniformly controlled RY on qubit k takes 2^k rotations and, for k > 0, 2^k CNOTs
    for n_qubits in (1, 2, 3, 4):
        cost = hardware_cost(Circuit(n_qubits, [], start="amplitudes"), "all-to-all")
        assert cost.two_qubit_gates == 2**n_qubits - 2
    amplitudes = np.array([1.0, -2.0, 0.0, 3.0])
    created = matrix_of(Circuit(2, preparation(2, amplitudes)))[:, 0]
    assert abs(created @ amplitudes) == pytest.approx(np.linalg.norm(amplitudes))


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize("chip", ["line", "grid"])
def test_every_ansatz_fits_every_chip(name, chip):
    circuit = ansatze.build(name, 5, 2)
    cost = hardware_cost(circuit, chip)
    assert cost.two_qubit_depth <= cost.two_qubit_gates
    assert cost.depth >= cost.two_qubit_depth
    assert (cost.two_qubit_gates == 0) == (name == "product")
    assert route(circuit, Topology.named(chip, 5)).circuit.n_params == circuit.n_params


@pytest.mark.parametrize(
    ("circuit", "chip", "setting", "value"),
    [
        (Circuit(2, []), "torus", "topology", "'torus'"),
        (Circuit(2, []), "grid:0x3", "topology", "'grid:0x3'"),
        (Circuit(21, []), "grid", "topology", "20 in 'grid'"),
        (Circuit(5, []), "grid:2x2", "topology", "4 in 'grid:2x2'"),
        (Circuit(2, [], "amplitudes"), "line", "A circuit for a chip", "a start in amplitudes"),
    ],
)
def test_what_fits_no_chip_is_refused_with_a_sentence(circuit, chip, setting, value):
    with refused(setting, value):
        compile_for(circuit, chip)
