"""QuanTA against its published counts, PennyLane's circuits of two-qubit gates, and its sizes."""

import math

import pennylane as qml
import pytest
import torch
from support.refusals import refused
from support.small_models import drawn, make

from qtha_lab.adapters import add_adapter, get_method
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.quanta import QuantaConfig, balanced_axes, pairs, takes_dense_route


def drawn_quanta(in_features, out_features, **options):
    return drawn(QuantaConfig(init_weights=False, **options), in_features, out_features)


# counts and sizes


def test_the_recipe_for_4096_trains_as_many_parameters_as_published():
    # pairs of 16-8-8-4: 128² + 128² + 64² + 64² + 32² + 32²; query and value of 32 layers
    per_matrix = 2 * 128**2 + 2 * 64**2 + 2 * 32**2
    config = QuantaConfig(dims=(16, 8, 8, 4))
    assert config.n_parameters(4096, 4096) == per_matrix == 43_008
    assert 2 * 32 * per_matrix == 2_752_512  # of LLaMA-2-7B
    assert round(100 * 2_752_512 / 6_738_415_616, 3) == 0.041


@pytest.mark.parametrize("n_axes", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 2, 5, 13, 97, 576, 768, 3072, 18_944, 50_257])
def test_any_size_is_split_into_balanced_axes(size, n_axes):
    dims = balanced_axes(size, n_axes)
    padded = math.prod(dims)
    assert size <= padded <= max(4, 2 * size)  # a power of two always fits
    assert all(2 <= d <= 2 * padded ** (1 / n_axes) for d in dims)
    assert 2 <= len(dims) <= n_axes


def test_pairs_come_in_the_authors_order_the_last_axes_first():
    # combinations of -1, -2, -3, -4 in the authors' code, written with positive axes
    assert pairs(4) == [(2, 3), (1, 3), (0, 3), (1, 2), (0, 2), (0, 1)]


# formula


def test_with_orthogonal_tensors_it_is_a_circuit_of_two_qubit_gates():
    change, tensors = drawn_quanta(16, 16, dims=(2, 2, 2, 2))
    gates = {}
    for m, n in change.pairs:
        torch.nn.init.orthogonal_(tensors[f"T_{m}_{n}"])
        tensors[f"start_{m}_{n}"].zero_()
        gates[m, n] = tensors[f"T_{m}_{n}"].numpy()

    def circuit():
        for wires, gate in gates.items():
            qml.QubitUnitary(gate, wires=wires)

    expected = torch.from_numpy(qml.matrix(circuit, wire_order=range(4))().real)
    torch.testing.assert_close(change.delta_weight(tensors), expected)


def test_one_pair_of_axes_is_any_matrix():
    change, tensors = drawn_quanta(12, 12, dims=(4, 3))
    tensors["start_0_1"].zero_()
    torch.testing.assert_close(change.delta_weight(tensors), tensors["T_0_1"])


@pytest.mark.parametrize("tokens", [1, 200])
@pytest.mark.parametrize(
    ("in_features", "out_features", "dims"),
    [
        (24, 24, (4, 3, 2)),
        (24, 17, (4, 3, 2)),
        (20, 24, (4, 3, 2)),
        (30, 40, (4, 3, 2)),
        (13, 29, None),
        (640, 640, (10, 8, 8)),
    ],
)
def test_both_routes_are_the_matrix_of_the_change(in_features, out_features, dims, tokens):
    change, tensors = drawn_quanta(in_features, out_features, dims=dims)
    x = torch.randn(tokens, in_features, dtype=torch.float64)
    matrix = change.delta_weight(tensors)
    assert matrix.shape == (out_features, in_features)
    torch.testing.assert_close(change.delta(tensors, x), x @ matrix.T)


def test_few_tokens_go_through_the_small_tensors_and_many_through_the_matrix():
    assert not takes_dense_route((16, 8, 8, 4), 16)
    assert takes_dense_route((4, 4, 4, 3), 512)


def test_beyond_the_axes_inputs_are_cropped_and_outputs_get_no_change():
    change, tensors = drawn_quanta(30, 40, dims=(4, 3, 2))
    matrix = change.delta_weight(tensors)
    assert matrix[:24, :24].abs().min() > 0
    assert not matrix[24:].any()
    assert not matrix[:, 24:].any()


def test_its_rank_is_full_where_lora_of_equal_count_has_rank_6():
    change, tensors = drawn_quanta(64, 64, dims=(4, 4, 4))
    assert change.n_parameters() == 3 * 16**2 == 6 * (64 + 64)
    assert torch.linalg.matrix_rank(change.delta_weight(tensors)) == 64


# start and life


def test_the_start_is_drawn_as_the_authors_do():
    torch.manual_seed(0)
    change = QuantaConfig(dims=(16, 8)).change(Layer(128, 128))
    tensors = {n: torch.empty(s.shape) for n, s in change.tensors().items()}
    change.initialise(tensors)
    # gain 1 for "linear", whatever a is: uniform within √(3 / fan_in), variance 1 / fan_in
    assert tensors["T_0_1"].abs().max() <= math.sqrt(3 / 128)
    assert tensors["T_0_1"].var().item() == pytest.approx(1 / 128, rel=0.05)
    assert torch.equal(tensors["T_0_1"], tensors["start_0_1"])


def test_a_second_adapter_of_more_axes_keeps_the_order_of_its_own_pairs():
    config = QuantaConfig(n_axes=2, target_modules=["q_proj"], init_weights=False)
    model = add_adapter(make("llama"), config)
    more = QuantaConfig(n_axes=4, target_modules=["q_proj"], init_weights=False)
    model.add_adapter("more", more)
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    change, tensors = layer.changes["more"], layer.adapter_tensors("more")
    ordered = {name: tensors[name] for name in change.tensors()}
    assert list(ordered) != list(tensors)
    torch.testing.assert_close(layer.delta_weight("more"), change.delta_weight(ordered))


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"dims": (4,)}, "dims", "(4,)"),
        ({"dims": (4, 1)}, "dims", "(4, 1)"),
        ({"dims": "(16,4,3)"}, "dims", "'(16,4,3)'"),
        ({"n_axes": 1}, "n_axes", "1"),
    ],
)
def test_impossible_axes_are_refused(options, setting, value):
    with refused(setting, value):
        get_method("quanta").check(options)
