"""Lie algebra and Fourier spectrum of a circuit's gates, against known answers."""

import itertools
import math

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.analysis.circuits.fourier import allowed_frequencies, fourier_spectrum
from qtha_lab.analysis.circuits.lie_algebra import (
    closure_dimension,
    generators_of,
    independent,
    lie_algebra_of,
)
from qtha_lab.analysis.circuits.random_angles import draw_angles
from qtha_lab.circuits import Angle, Circuit, Gate, ansatze, to_pennylane
from qtha_lab.simulators import expval_z

X, P = Angle.input, Angle.param


def smallest(name, n_qubits=2, n_layers=2):
    return ansatze.build(name, max(n_qubits, ansatze.get(name).min_qubits), n_layers)


def rotations(*gates):
    """Each gate with a parameter of its own."""
    n_qubits = 1 + max(wire for _, wire in gates)
    return Circuit(n_qubits, [Gate(name, w, P(k)) for k, (name, w) in enumerate(gates)])


def ising_chain(n_qubits, shared):
    """ZZ on neighbours of an open chain, then X on all.

    One angle each, or one for all of a kind.
    """
    numbers = itertools.count()
    ends, fields = range(n_qubits - 1), range(n_qubits)
    zz = [Gate("IsingZZ", (i, i + 1), P(0 if shared else next(numbers))) for i in ends]
    x = [Gate("RX", i, P(1 if shared else next(numbers))) for i in fields]
    return Circuit(n_qubits, zz + x)


def tied(n_qubits):
    """ZZ on all pairs by one angle, X and Y on all by one each.

    All that permutations leave alone.
    """
    pairs = itertools.combinations(range(n_qubits), 2)
    zz = [Gate("IsingZZ", pair, P(0)) for pair in pairs]
    xy = [Gate(name, i, P(k)) for k, name in ((1, "RX"), (2, "RY")) for i in range(n_qubits)]
    return Circuit(n_qubits, zz + xy)


# dynamical Lie algebra


def test_x_and_z_on_one_qubit_are_su2():
    assert lie_algebra_of(rotations(("RX", 0), ("RZ", 0))).dimension == 3  # X, Z, and [X, Z] ∝ Y
    assert lie_algebra_of(rotations(("RX", 0), ("RX", 0))).dimension == 1
    assert lie_algebra_of(Circuit(1, [Gate("H", 0)])).dimension == 0


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5, 6, 8])
def test_the_ising_chain_is_so_2n(n_qubits):
    # quadratic forms of 2n Majorana operators: so(2n), n(2n - 1)
    result = lie_algebra_of(ising_chain(n_qubits, shared=False))
    assert result.dimension == n_qubits * (2 * n_qubits - 1)
    assert (result.n_generators, result.full) == (2 * n_qubits - 1, 4**n_qubits - 1)


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5, 6])
def test_the_ising_chain_with_two_angles_has_dimension_n_squared(n_qubits):
    # reflection of the chain is kept: n² of the n(2n - 1) quadratic forms (PennyLane agrees below)
    assert lie_algebra_of(ising_chain(n_qubits, shared=True)).dimension == n_qubits**2


@pytest.mark.parametrize("n_qubits", [2, 3, 4])
def test_what_permutations_leave_alone(n_qubits):
    # one block a spin n/2, n/2 - 1, …, of size 2 spin + 1: su of each, and of the centre, which
    # tells
    # the spins apart, the one direction that the sum of ZZ has in it
    sizes = [n_qubits - 2 * k + 1 for k in range(n_qubits // 2 + 1)]
    result = lie_algebra_of(tied(n_qubits)).dimension
    assert result == sum(size**2 - 1 for size in sizes) + 1


def test_one_more_field_makes_the_chain_universal():
    chain = ising_chain(4, shared=False)
    both = chain.then([Gate("RZ", i, P(chain.n_params + i)) for i in range(4)])
    assert lie_algebra_of(both).dimension == 4**4 - 1


def test_real_gates_are_special_orthogonal():
    # RY and CZ are real: so(2^n), 2^n(2^n - 1)/2
    circuit = ansatze.build("simplified_two_design", 4, 3)
    assert lie_algebra_of(circuit).dimension == 16 * 15 // 2


def test_a_product_is_a_sum_of_su2_and_qtha_is_universal():
    assert lie_algebra_of(ansatze.build("product", 5, 1)).dimension == 3 * 5
    assert lie_algebra_of(ansatze.build("qtha", 5, 1)).dimension == 4**5 - 1
    assert lie_algebra_of(ansatze.build("block_diagonal", 4, 2)).dimension == 2 * 15


def test_data_generate_only_if_they_vary():
    circuit = Circuit(1, [Gate("RX", 0, X(0)), Gate("RZ", 0, P(0))])
    assert lie_algebra_of(circuit).dimension == 3
    assert lie_algebra_of(circuit, with_inputs=False).dimension == 1


def dense_generators(circuit):
    """PennyLane's generator of every turn that varies, dressed by the constant gates before it."""
    wires, before, result = range(circuit.n_qubits), np.eye(2**circuit.n_qubits), []
    for gate in circuit.gates:
        if all(angle.source == "const" for angle in gate.angles):
            (fixed,) = to_pennylane(Circuit(circuit.n_qubits, [gate]), [], [])
            before = qml.matrix(fixed, wire_order=wires) @ before
            continue
        for name in ("RZ", "RY", "RZ") if gate.name == "Rot" else (gate.name,):
            rotation = getattr(qml, name)(0.0, wires=gate.wires)
            result.append(qml.matrix(qml.generator(rotation, "observable"), wire_order=wires))
            result[-1] = before.conj().T @ result[-1] @ before
            result[-1] = result[-1] - np.trace(result[-1]) / len(before) * np.eye(len(before))
    return result


@pytest.mark.parametrize("n_qubits", [2, 3])
@pytest.mark.parametrize("name", ansatze.names())
def test_dimensions_are_those_of_pennylane(name, n_qubits):
    circuit = smallest(name, n_qubits, 4 - n_qubits)
    theirs = qml.lie_closure(dense_generators(circuit), matrix=True)
    assert lie_algebra_of(circuit).dimension == len(theirs)


@pytest.mark.parametrize("n_qubits", [2, 3])
def test_sums_are_closed_as_pennylane_does(n_qubits):
    zz = qml.sum(*(qml.Z(i) @ qml.Z(i + 1) for i in range(n_qubits - 1)))
    x = qml.sum(*(qml.X(i) for i in range(n_qubits)))
    theirs = qml.lie_closure([zz.pauli_rep, x.pauli_rep], pauli=True)
    ours = lie_algebra_of(ising_chain(n_qubits, shared=True))
    assert ours.dimension == len(theirs)


@given(seed=st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_sums_that_come_apart_close_to_the_same_as_vectors(seed):
    from qtha_lab.analysis.circuits.lie_algebra import _closed_vectors

    random = np.random.default_rng(seed)
    strings = [(int(x), int(z)) for x, z in random.integers(0, 4, (6, 2)) if (x, z) != (0, 0)]
    sums = [dict.fromkeys(strings[k : k + 2], 1.0) for k in range(0, len(strings), 2)]
    generators = independent([*sums, {(1, 1): 1.0}])
    assert closure_dimension(generators, 2) == len(_closed_vectors(generators, 2))


def test_constant_gates_that_are_no_cliffords_dress_too():
    # RY(0.3) before RZ: Z cos 0.3 + X sin 0.3, a string no more; with Z itself: su(2)
    tilted = Circuit(1, [Gate("RZ", 0, P(0)), Gate("RY", 0, 0.3), Gate("RZ", 0, P(1))])
    assert lie_algebra_of(tilted).dimension == 3
    (_, other) = generators_of(tilted)
    assert {k: round(abs(v), 6) for k, v in other.items()} == {
        (0, 1): round(math.cos(0.3), 6),
        (1, 0): round(math.sin(0.3), 6),
    }


def test_sums_that_span_too_much_are_refused(monkeypatch):
    monkeypatch.setattr("qtha_lab.analysis.circuits.lie_algebra.MOST_NUMBERS", 20 * 4**4)
    with refused("on 4 qubits", "at least 23"):
        lie_algebra_of(tied(4))


# Fourier spectrum


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_a_datum_uploaded_l_times_has_frequencies_up_to_l(n_layers):
    result = fourier_spectrum(ansatze.build("strongly_entangling", 2, n_layers), n_samples=20)
    assert result.frequencies.tolist() == list(range(n_layers + 1))
    assert result.highest() == n_layers
    once = ansatze.build("strongly_entangling", 2, n_layers, reupload=False)
    assert fourier_spectrum(once, n_samples=20).highest() == 1


def test_the_same_datum_on_every_qubit_adds_its_frequencies():
    circuit = Circuit(2, [Gate("RY", i, X(i)) for i in (0, 1)])
    # ⟨Z₀Z₁⟩ = cos²x = 1/2 + cos(2x)/2, so c₀ = 1/2, c₁ = 0, c₂ = 1/4
    result = fourier_spectrum(circuit, along=[0, 1], observables=["Z0 Z1"], n_samples=1)
    np.testing.assert_allclose(result.coefficients[0, 0], [0.5, 0, 0.25], atol=1e-12)


def test_factors_set_the_unit():
    circuit = Circuit(1, [Gate("RY", 0, X(0, 0.5)), Gate("RY", 0, X(0, 1.5))])
    frequencies, unit = allowed_frequencies(circuit)
    assert (frequencies.tolist(), unit) == ([0, 0.5, 1, 1.5, 2], 0.5)
    result = fourier_spectrum(circuit, n_samples=1)  # cos 2x
    np.testing.assert_allclose(result.magnitudes[0], [0, 0, 0, 0, 0.5], atol=1e-12)


def test_a_controlled_rotation_has_half_frequencies():
    # control |+⟩, target |0⟩: ⟨Z₁⟩ = (1 + cos x)/2; ⟨X₀⟩ = ⟨0|RY(x)|0⟩ = cos(x/2)
    circuit = Circuit(2, [Gate("H", 0), Gate("CRY", (0, 1), X(0))])
    result = fourier_spectrum(circuit, observables=["Z1", "X0"], n_samples=1)
    assert result.frequencies.tolist() == [0, 0.5, 1]
    np.testing.assert_allclose(result.coefficients[0], [[0.5, 0, 0.25], [0, 0.5, 0]], atol=1e-12)


def test_coefficients_are_those_of_pennylane():
    circuit = ansatze.build("qtha", 2, 2)
    params = draw_angles(circuit, 1, seed=4).params[0]
    result = fourier_spectrum(circuit, along=1, inputs=[0.3, 0.0], params=params)

    def function(x):
        inputs = torch.tensor([0.3, float(x[0])], dtype=torch.float64)
        return float(expval_z(circuit, inputs, params, "torch")[0])

    theirs = qml.fourier.coefficients(function, 1, 2)
    np.testing.assert_allclose(result.coefficients[0, 0], theirs[:3], atol=1e-9)


def test_magnitudes_over_draws_by_hand():
    # RY(x) RY(θ): cos(x + θ), so |c₁| = 1/2 for every θ
    circuit = Circuit(1, [Gate("RY", 0, X(0)), Gate("RY", 0, P(0))])
    result = fourier_spectrum(circuit, n_samples=30)
    np.testing.assert_allclose(result.magnitudes[0], [0, 0.5], atol=1e-12)
    np.testing.assert_allclose(result.errors, 0, atol=1e-12)
    assert np.isnan(fourier_spectrum(circuit, n_samples=1).errors).all()


@pytest.mark.parametrize(
    ("what", "setting", "value", "rule"),
    [
        (
            lambda c: lie_algebra_of(ansatze.build("qtha", 9, 1)),
            "n_qubits",
            "9",
            "",
        ),
        (lambda c: fourier_spectrum(c, along=3), "along", "[3]", ""),
        (
            lambda c: fourier_spectrum(c, params=[0.0]),
            "params",
            "(1,)",
            "",
        ),
        (
            lambda c: fourier_spectrum(ansatze.build("qtha", 2, 1, False, "amplitude")),
            "The data",
            "amplitudes",
            "",
        ),
        (
            lambda c: fourier_spectrum(Circuit(1, [Gate("RY", 0, X(0, math.sqrt(2)))])),
            "Factors of a datum",
            "",
            "fractions with a denominator of at most 64",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(what, setting, value, rule):
    with refused(setting, value, rule=rule):
        what(ansatze.build("qtha", 3, 1))
