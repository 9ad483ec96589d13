"""Quantum-Train against its formula written out state by state, and its memory against its promise."""

import math

import pytest
import torch
from support.refusals import refused
from support.small_models import drawn

from qtha_lab.adapters import basis_states, generated_weights, get_method, quantum_train
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.quantum_train import QuantumTrainConfig
from qtha_lab.circuits import Circuit, Gate
from qtha_lab.simulators import probs


def drawn_quantum_train(in_features=7, out_features=5, dtype=torch.float64, **options):
    config = QuantumTrainConfig(**{"init_weights": False, **options})
    return drawn(config, in_features, out_features, dtype)


# counts


def test_the_count_is_the_circuits_angles_and_the_networks_weights():
    # 192 · 64 weights, 12 a state: 1024 states, 10 qubits; a network 11-4-20-4-12
    config = QuantumTrainConfig(n_layers=3)
    network = (11 + 1) * 4 + (4 + 1) * 20 + (20 + 1) * 4 + (4 + 1) * 12
    assert config.n_parameters(192, 64) == 10 * 3 + network
    # a product state of bond 5: 2 · 5, nine of 2 · 25, and 2 · 5 · 12
    mps = QuantumTrainConfig(n_layers=3, mapping="mps", bond_dim=5)
    assert mps.n_parameters(192, 64) == 10 * 3 + 10 + 9 * 50 + 120


@pytest.mark.parametrize(("chunk", "n_qubits"), [(1, 19), (2048, 8), (300_000, 1)])
def test_batched_generation_needs_fewer_qubits(chunk, n_qubits):
    # the headline of the federated version: 285,226 weights take 19 qubits, 2048 a state take 8
    change = QuantumTrainConfig(chunk=chunk).change(Layer(1, 285_226))
    assert (
        change.generator.n_qubits
        == n_qubits
        == max(1, math.ceil(math.log2(math.ceil(285_226 / chunk))))
    )


def test_the_default_keeps_large_layers_to_ten_qubits():
    change = QuantumTrainConfig().change(Layer(4096, 4096))
    assert (change.generator.n_qubits, change.generator.chunk) == (10, 16_384)


def test_the_classical_control_trains_exactly_as_many_parameters():
    own, control = (
        QuantumTrainConfig(generator=g).n_parameters(48, 31) for g in ("circuit", "classical")
    )
    assert own == control


# formula


@pytest.mark.parametrize("generator", ["circuit", "classical"])
@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_the_matrix_is_the_formula_written_out_state_by_state(chunk, generator):
    change, t = drawn_quantum_train(chunk=chunk, n_layers=2, activation="tanh", generator=generator)
    n = change.generator.n_qubits
    if generator == "circuit":
        p = basis_states.circuit_probs(t["params"], n, 2)
    else:
        p = basis_states.log_linear_probs(t["params"], n)
    lifted = (0.8 * torch.tanh(0.1 * 2 ** (n - 1) * p)) ** 0.3
    weights = []
    for i in range(change.generator.n_chunks):
        bits = [2.0 * int(b) - 1 for b in f"{i:0{n}b}"]
        h = torch.tensor([*bits, lifted[i] - lifted.mean()], dtype=torch.float64)
        for k in range(3):
            h = torch.tanh(t[f"map_{k}_weight"] @ h + t[f"map_{k}_bias"])
        weights += list(t["map_3_weight"] @ h + t["map_3_bias"])
    weights = torch.stack(weights[:35])
    expected = (weights - weights.mean()).reshape(5, 7)
    torch.testing.assert_close(change.delta_weight(t), expected)
    x = torch.randn(2, 3, 7, dtype=torch.float64)
    torch.testing.assert_close(change.delta(t, x), x @ expected.T)


def test_a_product_state_is_a_product_of_matrices_chosen_by_the_bits():
    torch.manual_seed(0)
    specs = generated_weights.mps_tensors(3, 2, 4)
    t = {name: torch.randn(spec.shape, dtype=torch.float64) for name, spec in specs.items()}
    values = torch.randn(6, dtype=torch.float64)  # the first 6 of 8 states
    result = generated_weights.contracted_cores(t, values) @ t["core_last"].T
    for i, value in enumerate(values):
        a, b, c = (int(bit) for bit in f"{i:03b}")
        row = (t["core_0"][a] @ t["core_1"][b] @ t["core_2"][c]).flatten()
        plain, scaled = t["core_last"][:, :2], t["core_last"][:, 2:]
        torch.testing.assert_close(result[i], (plain + value * scaled) @ row)


def test_a_product_state_of_bond_1_holds_the_parity_of_the_bits():
    t = {f"core_{k}": torch.tensor([1.0, -1.0]).reshape(2, 1, 1) for k in range(3)}
    t["core_last"] = torch.tensor([[1.0, 0.0]])
    parities = [(-1.0) ** i.bit_count() for i in range(8)]
    result = generated_weights.contracted_cores(t, torch.zeros(8)) @ t["core_last"].T
    assert result.flatten().tolist() == parities


@pytest.mark.parametrize("n_blocks", [2, 3, 9])
def test_blocks_are_the_circuit_without_the_cnots_between_them(n_blocks):
    n_qubits, n_layers = 5, 2
    params = torch.randn(n_qubits * n_layers, dtype=torch.float64)
    gates, start, angle = [], 0, 0
    for size in basis_states.block_sizes(n_qubits, n_blocks):
        for _ in range(n_layers):
            for wire in range(start, start + size):
                gates.append(Gate("RY", wire, float(params[angle])))
                angle += 1
            gates += [Gate("CNOT", (w, w + 1)) for w in range(start, start + size - 1)]
        start += size
    none = torch.empty(0, dtype=torch.float64)
    expected = probs(Circuit(n_qubits, gates), none, none, engine="torch")
    values = basis_states.circuit_probs(params, n_qubits, n_layers, n_blocks)
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("mapping", ["mlp", "mps"])
@pytest.mark.parametrize("chunk", [1, 4, 35, 50])
def test_the_mean_is_removed_without_making_the_matrix(chunk, mapping):
    change, t = drawn_quantum_train(chunk=chunk, mapping=mapping)
    assert abs(float(change.delta_weight(t).mean())) < 1e-12
    remaining, _ = drawn_quantum_train(chunk=chunk, mapping=mapping, remove_mean=False)
    raw = remaining.delta_weight(t)
    torch.testing.assert_close(change.delta_weight(t), raw - raw.mean())


# start and memory


@pytest.mark.parametrize(("mapping", "last"), [("mlp", "map_3_weight"), ("mps", "core_last")])
def test_the_start_is_zero_because_the_last_layer_is_which_then_learns_first(mapping, last):
    change, t = drawn_quantum_train(mapping=mapping, init_weights=True)
    for tensor in t.values():
        tensor.requires_grad_()
    out = change.delta(t, torch.randn(3, 7, dtype=torch.float64))
    assert not out.any()
    out.sum().backward()
    assert t[last].grad.any()
    assert not t["params"].grad.any()


@pytest.mark.parametrize("chunk", [3, 16, 40])
def test_large_matrices_are_made_some_rows_at_a_time_with_the_same_result(chunk, monkeypatch):
    change, t = drawn_quantum_train(24, 30, chunk=chunk)
    x = torch.randn(4, 24, dtype=torch.float64, requires_grad=True)
    result = []
    for slab in (2**24, 24 * 7):  # 7 rows of 24, and 2 that are left
        monkeypatch.setattr(quantum_train, "SLAB", slab)
        for tensor in t.values():
            tensor.requires_grad_()
        out = change.delta(t, x)
        result.append((out, *torch.autograd.grad(out.square().sum(), [x, *t.values()])))
    for whole, in_slabs in zip(*result, strict=True):
        torch.testing.assert_close(in_slabs, whole)


@pytest.mark.parametrize(("slab", "keeps_the_matrix"), [(2**24, True), (256 * 8, False)])
def test_in_slabs_the_matrix_is_not_kept_for_the_backward_pass(slab, keeps_the_matrix, monkeypatch):
    monkeypatch.setattr(quantum_train, "SLAB", slab)
    change, t = drawn_quantum_train(256, 256, chunk=1024, dtype=torch.float32)
    remaining = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        remaining[storage.data_ptr()] = storage.nbytes()
        return tensor

    for tensor in t.values():
        tensor.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = change.delta(t, torch.randn(2, 256, requires_grad=True))
    assert out.shape == (2, 256)
    matrix_bytes = 4 * 256 * 256
    held = sum(remaining.values())
    assert held > matrix_bytes if keeps_the_matrix else held < matrix_bytes / 4


def test_more_qubits_than_a_machine_holds_are_refused_with_the_chunk_that_fits():
    # 4096² = 2^24 weights: 16 a state are 2^20 states
    with refused("chunk", "8"):
        get_method("quantum_train").check({"chunk": 8}, [(4096, 4096)])
    get_method("quantum_train").check({"chunk": 16}, [(4096, 4096)])


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"hidden": ()}, "hidden", "()"),
        ({"mapping": "tree"}, "mapping", "'tree'"),
        ({"engine": "gpu"}, "engine", "'gpu'"),
    ],
)
def test_impossible_settings_are_refused(options, setting, value):
    with refused(setting, value):
        get_method("quantum_train").check(options)
