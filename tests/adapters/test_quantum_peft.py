"""Quantum-PEFT against PennyLane's two-design, the exact exponential, and its published counts."""

import math

import pennylane as qml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.refusals import refused
from support.small_models import TARGETS, drawn, make

from qtha_lab.adapters import add_adapter, get_method, quantum_peft
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.quantum_peft import QuantumPeftConfig
from qtha_lab.simulators import state


def drawn_quantum_peft(in_features, out_features, **options):
    return drawn(QuantumPeftConfig(init_weights=False, **options), in_features, out_features)


def gram_error(columns):
    """The largest singular value of QᵀQ − 1."""
    identity = torch.eye(columns.shape[1], dtype=columns.dtype)
    return float(torch.linalg.matrix_norm(columns.mT @ columns - identity, ord=2))


# counts


def test_the_published_count_of_the_circuit_map_at_4096():
    # one side: 12 turns at the start and 2 · 11 in the layer = (2 · 1 + 1) · 12 − 2 · 1 = 34
    assert QuantumPeftConfig(r=1, n_layers=1).n_parameters(4096, 4096) == 2 * 34 + 1
    assert QuantumPeftConfig(r=1, n_layers=3).n_parameters(4096, 4096) == 2 * (7 * 12 - 6) + 1
    assert QuantumPeftConfig(r=8, n_layers=1).n_parameters(4096, 1024) == 34 + (30 - 2) + 8


def test_the_published_count_of_the_exponential_map_is_2nk_minus_k_squared():
    config = QuantumPeftConfig(r=4, mapping="taylor")
    assert config.n_parameters(96, 96) == 2 * 96 * 4 - 4**2
    # K columns below the diagonal: (N − 1) + (N − 2) + … K terms, both sides, and K values
    by_hand = 2 * (95 + 94 + 93 + 92) + 4
    assert config.n_parameters(96, 96) == by_hand


@given(st.integers(2, 300), st.integers(2, 300), st.integers(1, 4), st.booleans())
def test_the_tensors_hold_as_many_numbers_as_the_formula_says(ins, outs, n_layers, pauli):
    mapping = "pauli" if pauli else "taylor"
    config = QuantumPeftConfig(r=2, n_layers=n_layers, mapping=mapping)
    shapes = config.change(Layer(ins, outs)).tensors().values()
    assert sum(math.prod(spec.shape) for spec in shapes) == config.n_parameters(ins, outs)


# the circuit map


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5, 6])
def test_the_columns_are_those_of_pennylanes_two_design(n_qubits, n_layers):
    torch.manual_seed(0)
    n = quantum_peft.n_two_design_angles(n_qubits, n_layers)
    angles = torch.randn(n, dtype=torch.float64)
    matrix = quantum_peft.two_design_columns(angles, n_qubits, n_layers, 2**n_qubits)

    def circuit():
        layers = angles[n_qubits:].reshape(n_layers, n_qubits - 1, 2).numpy()
        qml.SimplifiedTwoDesign(angles[:n_qubits].numpy(), layers, wires=range(n_qubits))

    if n_qubits > 1:
        expected = torch.from_numpy(qml.matrix(circuit, wire_order=range(n_qubits))().real)
        torch.testing.assert_close(matrix, expected)
    assert gram_error(matrix) < 1e-12
    few = quantum_peft.two_design_columns(angles, n_qubits, n_layers, 2)
    torch.testing.assert_close(few, matrix[:, :2])


@pytest.mark.parametrize("n_qubits", [2, 5])
def test_the_first_column_is_the_state_of_our_own_circuit(n_qubits):
    circuit = quantum_peft.two_design_circuit(n_qubits, 2)
    angles = torch.randn(circuit.n_params, dtype=torch.float64)
    amplitudes = state(circuit, torch.empty(0, dtype=torch.float64), angles)
    column = quantum_peft.two_design_columns(angles, n_qubits, 2, 1).flatten()
    assert abs(amplitudes @ column.to(amplitudes.dtype)) == pytest.approx(1)  # equal up to a phase


def test_a_power_of_two_gives_orthonormal_columns_and_the_values_are_singular():
    change, tensors = drawn_quantum_peft(32, 16, r=4, n_layers=2, alpha=12.0)
    u, v = change.bases(tensors)
    assert max(gram_error(u), gram_error(v)) < 1e-12
    result = torch.linalg.svdvals(change.delta_weight(tensors))[:4]
    # s = alpha / r = 3 times the sizes of Λ
    torch.testing.assert_close(result, (3 * tensors["values"]).abs().sort(descending=True)[0])


def test_other_sizes_crop_rows_and_gram_schmidt_mends_the_columns():
    change, tensors = drawn_quantum_peft(24, 20, r=3, n_layers=2)
    u, v = change.bases(tensors)
    whole = quantum_peft.two_design_columns(tensors["V"], 5, 2, 3)
    torch.testing.assert_close(v, whole[:24])
    # VᵀV = 1 − DᵀD, with D the rows dropped
    dropped = float(torch.linalg.matrix_norm(whole[24:], ord=2))
    assert gram_error(v) == pytest.approx(dropped**2)
    assert gram_error(v) > 1e-3
    mended, _ = drawn_quantum_peft(24, 20, r=3, n_layers=2, orthonormalise=True)
    u_mended, v_mended = mended.bases(tensors)
    assert max(gram_error(u_mended), gram_error(v_mended)) < 1e-12
    assert torch.linalg.matrix_rank(torch.cat([u, u_mended], 1)) == 3  # the same span


# the exponential map


def skew(numbers, size, n_columns):
    rows, cols = torch.tril_indices(size, n_columns, offset=-1)
    lower = torch.zeros(size, size, dtype=numbers.dtype)
    lower[rows, cols] = numbers
    return lower - lower.mT


@pytest.mark.parametrize(("size", "n_columns"), [(12, 3), (5, 5), (37, 1)])
@pytest.mark.parametrize("order", [1, 4, 12])
def test_the_series_is_the_exponential_and_orthogonal_up_to_its_first_missing_term(
    size, n_columns, order
):
    torch.manual_seed(0)
    n = quantum_peft.n_skew_numbers(size, n_columns)
    numbers = torch.randn(n, dtype=torch.float64) * size**-0.5
    a = skew(numbers, size, n_columns)
    columns = quantum_peft.taylor_columns(numbers, size, n_columns, order)
    exact = torch.linalg.matrix_exp(a)[:, :n_columns]
    norm = float(torch.linalg.matrix_norm(a, ord=2))
    # Σ_{p > order} ‖A‖^p / p! is below its first term times a geometric series
    missing = norm ** (order + 1) / math.factorial(order + 1) / (1 - norm / (order + 2))
    assert norm < order + 2
    error = float(torch.linalg.matrix_norm(columns - exact, ord=2))
    assert error <= missing + 1e-12
    assert gram_error(columns) <= 2 * missing + missing**2 + 1e-12


def test_the_default_order_is_orthogonal_to_single_precision_where_it_starts():
    change, tensors = drawn_quantum_peft(192, 576, r=8, mapping="taylor")
    # the start has ‖A‖ near 1 + √(8/192) = 1.2, and 1.2¹³ / 13! = 2e-9
    assert all(gram_error(columns) < 1e-7 for columns in change.bases(tensors))


# formula and life


@pytest.mark.parametrize("mapping", ["pauli", "taylor"])
def test_the_change_is_the_decomposition_written_out(mapping):
    change, tensors = drawn_quantum_peft(24, 17, r=3, mapping=mapping, alpha=6.0)
    u, v = change.bases(tensors)
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    matrix = 6.0 / 3 * u @ torch.diag(tensors["values"]) @ v.T
    torch.testing.assert_close(change.delta(tensors, x), x @ matrix.T)
    torch.testing.assert_close(change.delta_weight(tensors), matrix)


def test_a_first_use_under_inference_mode_does_not_stop_later_training():
    model = add_adapter(make("llama"), QuantumPeftConfig(r=5, target_modules=TARGETS["llama"]))
    quantum_peft._cz_signs.cache_clear()
    with torch.inference_mode():
        model(input_ids=torch.tensor([[1, 2]]))
    model(input_ids=torch.tensor([[1, 2]])).logits.sum().backward()


def test_more_columns_than_the_layer_has_are_refused_with_its_sizes():
    with refused("r", "17"):
        get_method("quantum_peft").check({"r": 17}, [(32, 16)])
