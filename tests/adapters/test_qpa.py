"""QPA against its published count, its formula written out with torch's own layers, and its traps."""

import math

import pennylane as qml
import pytest
import torch
from support.refusals import refused
from support.small_models import TARGETS, drawn, logits, make

from qtha_lab.adapters import add_adapter, basis_states, get_method
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.qpa import QpaConfig


def drawn_qpa(in_features=12, out_features=10, dtype=torch.float64, **options):
    return drawn(QpaConfig(**options), in_features, out_features, dtype)


# counts


def test_gpt2s_output_layer_trains_as_many_parameters_as_the_authors_log_says():
    change = QpaConfig(r=4).change(Layer(768, 50_257))
    assert change.n_numbers == 4 * (768 + 50_257) == 204_100  # LoRA's own count
    assert change.generator.chunk == 2048
    assert change.generator.n_chunks == 100
    assert change.generator.n_qubits == 7
    angles = 7 * 8
    stack = 8 * 32 + 32 + sum(
        (a + 1) * b for a, b in [(32, 64), (64, 128), (128, 128), (128, 64), (64, 32), (32, 32)]
    )  # fmt: skip
    last = 33 * 2048
    assert (angles, stack, last) == (56, 38_624, 67_584)
    assert change.n_parameters() == angles + stack + last == 106_264
    assert round(100 * 106_264 / 204_100, 2) == 52.06


def test_the_classical_control_trains_exactly_as_many_parameters():
    for sizes in ((768, 50_257), (192, 64), (5, 7)):
        own, control = (
            QpaConfig(generator=generator).n_parameters(*sizes)
            for generator in ("circuit", "classical")
        )
        assert own == control


def test_a_frozen_generator_trains_its_angles_less():
    own, frozen = (QpaConfig(train_generator=on).n_parameters(192, 192) for on in (True, False))
    assert own - frozen == 4 * 8  # 16 chunks are 4 qubits, in 8 blocks


# circuit and post-processing


def test_the_circuits_probabilities_are_pennylanes():
    params = torch.randn(3 * 2, dtype=torch.float64)

    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit():
        for layer in params.reshape(2, 3):
            for wire in range(3):
                qml.RY(layer[wire], wires=wire)
            for wire in range(2):
                qml.CNOT(wires=[wire, wire + 1])
        return qml.probs(wires=range(3))

    values = basis_states.circuit_probs(params, 3, 2, engine="torch")
    torch.testing.assert_close(values, circuit())


def test_post_processing_is_the_code_in_numbers():
    # N = 1, so 2^(N-1) p = p
    p = torch.tensor([0.9, 0.1], dtype=torch.float64)
    a, b = ((0.6 * math.tanh(0.1 * q)) ** 0.15 for q in (0.9, 0.1))
    expected = torch.tensor([(a - b) / 2, (b - a) / 2], dtype=torch.float64)
    result = basis_states.postprocess(p, 1, beta=0.6, gamma=0.1, exponent=0.15)
    torch.testing.assert_close(result, expected)
    uniform = torch.full((8,), 1 / 8, dtype=torch.float64)
    assert not basis_states.postprocess(uniform, 3, beta=0.6, gamma=0.1, exponent=0.15).any()


def test_a_probability_of_zero_has_finite_gradients():
    change, tensors = drawn_qpa(chunk=20)
    tensors["params"].zero_().requires_grad_()  # |0…0⟩ for certain
    change.delta_weight(tensors).sum().backward()
    assert torch.isfinite(tensors["params"].grad).all()


# the classical control


def test_one_number_a_parity_reaches_every_distribution():
    # n = 2: log p(i) = c + w₁ s₀(i) + w₂ s₁(i) + w₃ s₀(i) s₁(i), with s = +1 for a bit of 0
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    s0 = torch.tensor([1.0, 1, -1, -1], dtype=torch.float64)
    s1 = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
    weights = torch.stack([(p.log() * s).mean() for s in (s0, s1, s0 * s1)])
    torch.testing.assert_close(basis_states.log_linear_probs(weights, 2), p)


def test_parities_beyond_the_last_are_the_first_again():
    weights = torch.randn(5, dtype=torch.float64)
    folded = torch.stack([weights[0] + weights[3], weights[1] + weights[4], weights[2]])
    torch.testing.assert_close(
        basis_states.log_linear_probs(weights, 2), basis_states.log_linear_probs(folded, 2)
    )


# formula


@pytest.mark.parametrize("generator", ["circuit", "classical"])
@pytest.mark.parametrize("remove_mean", [True, False])
def test_the_factors_are_the_formula_written_out(remove_mean, generator):
    change, t = drawn_qpa(
        chunk=9, n_layers=2, hidden=(6, 5), activation="silu", remove_mean=remove_mean,
        generator=generator, start="paper", alpha=6.0, r=2,
    )  # fmt: skip
    assert (change.n_numbers, change.generator.n_chunks, change.generator.n_qubits) == (44, 5, 3)
    make_p = {
        "circuit": lambda: basis_states.circuit_probs(t["params"], 3, 2),
        "classical": lambda: basis_states.log_linear_probs(t["params"], 3),
    }
    lifted = (0.6 * torch.tanh(0.1 * 4 * make_p[generator]())) ** 0.15
    bits = [[int(b) * 2.0 - 1 for b in f"{i:03b}"] for i in range(5)]
    x = torch.cat([torch.tensor(bits).double(), (lifted - lifted.mean())[:5, None]], 1)
    for k in (0, 1):
        x = torch.nn.functional.silu(x @ t[f"map_{k}_weight"].T + t[f"map_{k}_bias"])
    numbers = (x @ t["map_2_weight"].T + t["map_2_bias"]).flatten()[:44]
    numbers = numbers - numbers.mean() if remove_mean else numbers
    expected = 6.0 / 2 * numbers[:20].reshape(10, 2) @ numbers[20:].reshape(2, 12)
    torch.testing.assert_close(change.delta_weight(t), expected)
    x = torch.randn(3, 12, dtype=torch.float64)
    torch.testing.assert_close(change.delta(t, x), x @ expected.T)


@pytest.mark.parametrize("chunk", [1, 43, 44, 500])
def test_chunks_of_any_size_fill_the_factors(chunk):
    change, t = drawn_qpa(chunk=chunk, r=2, n_layers=1, hidden=(4,))
    a, b = change.generated(t)
    assert (a.shape, b.shape) == ((10, 2), (2, 12))
    assert 2**change.generator.n_qubits >= change.generator.n_chunks


# traps


def test_without_activation_a_chunk_is_an_affine_function_of_its_label():
    ranks = {}
    for activation in ("none", "tanh"):
        change, t = drawn_qpa(64, 64, chunk=16, r=4, activation=activation)
        a, b = change.generated(t)
        chunks = torch.cat([a.flatten(), b.flatten()]).reshape(-1, 16)
        ranks[activation] = torch.linalg.matrix_rank(chunks, rtol=1e-9)
    assert change.generator.n_qubits == 5
    assert ranks["none"] <= change.generator.n_qubits + 2
    assert ranks["tanh"] > change.generator.n_qubits + 2


def test_permuted_bit_strings_give_another_change_at_every_use():
    change, t = drawn_qpa(chunk=4, bit_order="permuted", start="paper")
    assert not torch.equal(change.delta_weight(t), change.delta_weight(t))


def test_permuted_bit_strings_need_the_papers_start_and_do_not_merge():
    with refused("start", "zero"):
        get_method("qpa").check({"bit_order": "permuted"})
    config = QpaConfig(
        bit_order="permuted", start="paper", target_modules=TARGETS["llama"], hidden=(4,)
    )
    model = add_adapter(make("llama"), config)
    assert not get_method("qpa").is_linear(config)
    with refused(remedy="bit_order='fixed'", error=NotImplementedError):
        model.merge_adapter()


def test_the_papers_start_changes_the_model_and_stores_no_first_factor():
    config = QpaConfig(start="paper", target_modules=TARGETS["llama"], hidden=(4,))
    model = add_adapter(make("llama"), config)
    assert not torch.equal(logits(model), logits(make("llama")))
    assert not any("qpa_start" in name for name, _ in model.named_parameters())


def test_the_update_stays_within_rank_r():
    change, t = drawn_qpa(32, 24, r=3, init_weights=False)
    assert torch.linalg.matrix_rank(change.delta_weight(t), rtol=1e-9) == 3


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"hidden": ()}, "hidden", "()"),
        ({"hidden": (8, 0)}, "hidden", "(8, 0)"),
        ({"hidden": "(8,)"}, "hidden", "'(8,)'"),
        ({"engine": "gpu"}, "engine", "'gpu'"),
        ({"generator": "quantum"}, "generator", "'quantum'"),
    ],
)
def test_impossible_settings_are_refused(options, setting, value):
    with refused(setting, value):
        get_method("qpa").check(options)
