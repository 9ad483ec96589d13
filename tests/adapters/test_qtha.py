"""QTHA against its published counts, its formula written out, and peft's LoRA."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.refusals import refused
from support.small_models import TARGETS, TOKENS, drawn, logits, make

from qtha_lab.adapters import QthaConfig, add_adapter, circuits_of, get_method
from qtha_lab.adapters.change import Layer
from qtha_lab.circuits import ansatze
from qtha_lab.simulators import expval_z
from qtha_lab.tensor_networks import mpo

# counts


@pytest.mark.parametrize(
    ("in_features", "out_features", "r", "n_layers", "published"),
    [
        (3584, (3584, 512), 4, 1, 20_352),
        (3584, (3584, 512), 8, 1, 24_672),
        (3584, (3584, 512), 10, 1, 26_880),
        (3584, (3584, 512), 4, None, 20_448),
        (3584, (3584, 512), 8, None, 25_120),
        (3584, (3584, 512), 10, None, 27_600),
        (4096, (4096, 1024), 8, 1, 25_792),
        (4096, (4096, 1024), 8, None, 26_240),
        (1024, (2048, 1024), 4, 1, 19_040),
        (1024, (2048, 1024), 4, None, 19_136),
    ],
)
def test_query_and_value_of_one_layer_train_as_many_parameters_as_in_the_table(
    in_features, out_features, r, n_layers, published
):
    # methods.md 1.5, "per transformer layer, q_proj + v_proj", with the authors' defaults
    config = QthaConfig(size="paper", r=r, n_layers=n_layers)
    assert sum(config.n_parameters(in_features, out) for out in out_features) == published


def test_the_headline_saving_is_that_of_r_10_on_a_7b_model():
    config = QthaConfig(size="paper", r=10, n_layers=1)
    own = config.n_parameters(3584, 3584) + config.n_parameters(3584, 512)
    lora = 10 * (3584 + 3584) + 10 * (3584 + 512)
    assert 1 - own / lora == pytest.approx(0.761, abs=5e-4)


@pytest.mark.parametrize(
    ("letters", "switches", "formula"),
    [
        ("ABC", {}, lambda p, r, n, m, layers: p + 512 * r + 2 * r**2 + 4 * r * layers),
        ("AB", {"use_circuit": False}, lambda p, r, n, m, layers: p + 512 * r + r**2),
        ("A", {"use_circuit": False, "use_linear": False}, lambda p, r, n, m, layers: p),
        (
            "BC",
            {"use_mpo": False},
            lambda p, r, n, m, layers: r * (n + m) + 2 * r**2 + 4 * r * layers,
        ),
        (
            "B",
            {"use_mpo": False, "use_circuit": False},
            lambda p, r, n, m, layers: r * (n + m) + r**2,
        ),
        (
            "C",
            {"use_mpo": False, "use_linear": False},
            lambda p, r, n, m, layers: r * (n + m) + r**2 + 4 * r * layers,
        ),
    ],
)
def test_every_architecture_of_the_authors_comes_out(letters, switches, formula):
    n, m, r, layers = 3584, 512, 4, 2
    config = QthaConfig(size="paper", r=r, n_layers=layers, **switches)
    cores = 4576 + 2432  # methods.md 1.2: 3584 → 256 and 256 → 512
    assert config.architecture == letters
    assert config.n_parameters(n, m) == formula(cores, r, n, m, layers)


def test_a_frozen_circuit_trains_no_angle_but_keeps_them():
    config = QthaConfig(size="paper", r=4, n_layers=3, train_circuit=False)
    assert (
        config.n_parameters(64, 64)
        == QthaConfig(size="paper", r=4, n_layers=3).n_parameters(64, 64) - 48
    )
    model = add_adapter(
        make("llama"), QthaConfig(size="paper", r=2, train_circuit=False, target_modules=["q_proj"])
    )
    angles = {n: b for n, b in model.named_buffers() if "qtha_frozen_params" in n}
    assert angles
    before = {n: b.clone() for n, b in angles.items()}
    model.disable_adapter_layers()
    model.enable_adapter_layers()
    model.set_adapter("default")
    assert not any(b.requires_grad for b in angles.values())
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(TOKENS, labels=TOKENS).loss.backward()
    optimiser.step()
    assert all(torch.equal(b, before[n]) for n, b in angles.items())
    assert set(angles) <= set(model.state_dict())


# formula


@pytest.mark.parametrize("fusion", ["sum", "hadamard"])
@pytest.mark.parametrize("use_mpo", [True, False])
def test_the_change_is_the_published_formula_written_out(fusion, use_mpo):
    config = QthaConfig(
        r=3, alpha=5.0, n_layers=2, use_mpo=use_mpo, waist=8, bond_dim=2, fusion=fusion,
        input_scale=0.7, init_weights=False,
    )  # fmt: skip
    change, t = drawn(config)
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    a, b = t["A"], t["B"]
    if use_mpo:
        a = a @ mpo.dense([t[f"mpo_in_{k}"] for k in range(4)], change.maps.down)
        b = mpo.dense([t[f"mpo_out_{k}"] for k in range(4)], change.maps.up) @ b
    h = x @ a.T
    q = expval_z(ansatze.build("qtha", 3, 2), 0.7 * h, t["params"], "device:default.qubit")
    quantum, linear = q @ t["W_q"].T, h @ t["W_c"].T
    z = quantum + linear if fusion == "sum" else quantum * linear
    torch.testing.assert_close(change.delta(t, x), 5.0 / 3 * z @ b.T, atol=1e-6, rtol=1e-5)


def test_the_networks_alone_are_two_maps_in_a_row():
    config = QthaConfig(
        waist=8, bond_dim=2, use_circuit=False, use_linear=False, init_weights=False
    )
    change, t = drawn(config)
    first = mpo.dense([t[f"mpo_in_{k}"] for k in range(4)], change.maps.down)
    second = mpo.dense([t[f"mpo_out_{k}"] for k in range(4)], change.maps.up)
    x = torch.randn(7, 24, dtype=torch.float64)
    torch.testing.assert_close(change.delta(t, x), 2 * x @ first.T @ second.T)
    torch.testing.assert_close(change.delta_weight(t), 2 * second @ first)


def test_with_no_network_and_no_circuit_it_is_lora():
    ours = QthaConfig(
        r=4, alpha=8, use_mpo=False, use_circuit=False, target_modules=TARGETS["llama"]
    )
    mine = add_adapter(make("llama"), ours)
    theirs = get_peft_model(
        make("llama"),
        LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS["llama"], init_lora_weights=False),
    )
    tensors = dict(theirs.named_parameters())
    for name, p in mine.named_parameters():
        if name.endswith("W_c.default"):
            p.data = torch.eye(4)
        elif "qtha_" in name:
            p.data = tensors[name.replace("qtha_", "lora_") + ".weight"].data.clone()
    torch.testing.assert_close(logits(mine), logits(theirs), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        logits(mine.merge_and_unload()), logits(theirs.merge_and_unload()), atol=1e-6, rtol=1e-5
    )


def test_the_change_never_leaves_r_dimensions():
    # methods.md 1.11: as published the update has rank r at most, circuit or not
    change, t = drawn(QthaConfig(r=3, waist=16, bond_dim=4, init_weights=False), 48, 40)
    values = torch.linalg.svdvals(change.delta(t, torch.randn(200, 48, dtype=torch.float64)))
    assert values[2] > 1e-3 * values[0]
    assert values[3] < 1e-6 * values[0]


def test_with_a_circuit_the_change_is_not_linear_and_without_it_is():
    x, y = torch.randn(2, 5, 24, dtype=torch.float64)
    for use_circuit in (True, False):
        change, t = drawn(QthaConfig(r=3, waist=8, use_circuit=use_circuit, init_weights=False))
        apart = change.delta(t, x) + change.delta(t, y)
        together = change.delta(t, x + y)
        assert torch.allclose(apart, together) is not use_circuit


# start


def test_the_published_start_has_a_zero_last_core_and_random_angles():
    _, t = drawn(QthaConfig(r=8, waist=64, bond_dim=4, init="paper"), 576, 192)
    assert not t["mpo_out_3"].any()
    assert all(t[name].abs().min() > 0 for name in t if name != "mpo_out_3")
    assert t["A"].abs().max() <= math.sqrt(6 / 64)
    assert float(t["A"].std()) == pytest.approx(math.sqrt(2 / 64), rel=0.1)
    assert t["params"].abs().max() <= math.pi
    assert float(t["params"].std()) == pytest.approx(math.pi / math.sqrt(3), rel=0.1)


def test_the_balanced_start_has_zero_b_and_networks_of_singular_values_near_one():
    change, t = drawn(QthaConfig(waist=64, bond_dim=4, init="isometric", init_scale=0.5), 576, 192)
    assert not t["B"].any()
    for side, shape in (("in", change.maps.down), ("out", change.maps.up)):
        values = torch.linalg.svdvals(mpo.dense([t[f"mpo_{side}_{k}"] for k in range(4)], shape))
        assert float(values.square().mean().sqrt()) == pytest.approx(0.5, rel=1e-6)


def test_the_start_is_matched_unless_another_is_named():
    change, t = drawn(QthaConfig(r=4, waist=64, bond_dim=4), 576, 192)
    assert change.config.init == "balanced"
    assert not t["B"].any()
    m_a, m_b = (
        mpo.dense([t[f"mpo_{side}_{k}"] for k in range(4)], shape)
        for side, shape in (("in", change.maps.down), ("out", change.maps.up))
    )
    # M_B keeps mean squares, M_A multiplies their root by in_features / waist, and A divides by it
    assert float(m_b.norm()) == pytest.approx(math.sqrt(192), rel=1e-6)
    assert float(m_a.norm()) == pytest.approx(576 / 64 * math.sqrt(64), rel=1e-6)
    assert float(t["A"].std()) == pytest.approx(64 / 576 / math.sqrt(64), rel=0.15)
    for name in ("W_c", "W_q"):
        assert t[name].abs().max() <= math.sqrt(3) / 4  # uniform, standard deviation 1 / r


# circuit and engine


def test_the_circuits_are_those_that_run():
    model, places = make("llama"), {"target_modules": ["q_proj", "v_proj"]}
    n_layers = 2 * model.config.num_hidden_layers
    config = QthaConfig(size="paper", r=4, n_layers=3, reupload=False, **places)
    assert circuits_of(model, config) == {ansatze.build("qtha", 4, 3, reupload=False): n_layers}
    (circuit,) = circuits_of(model, QthaConfig(size="paper", r=5, **places))
    assert circuit.n_params == 4 * 5 * 5  # layers default to r
    assert not circuits_of(model, QthaConfig(use_circuit=False, **places))
    assert not circuits_of(model, QthaConfig(stand_in="silu", **places))
    assert not circuits_of(model, LoraConfig(**places))


@pytest.mark.parametrize("engine", ["torch", "cpu", "device:default.qubit"])
def test_every_engine_gives_the_same_model(engine):
    message = []
    for chosen in ("auto", engine):
        model = make("llama")
        torch.manual_seed(1)
        config = QthaConfig(
            r=2, n_layers=1, waist=8, engine=chosen, init_weights=False, target_modules=["v_proj"]
        )
        message.append(logits(add_adapter(model, config), TOKENS[:, :3]))
    torch.testing.assert_close(message[0], message[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("ansatz", ansatze.names())
def test_every_ansatz_can_be_inside(ansatz):
    change, t = drawn(QthaConfig(r=3, n_layers=2, waist=8, ansatz=ansatz, init_weights=False))
    assert change.n_parameters() == sum(
        math.prod(s.shape) for s in change.tensors().values() if s.trainable
    )
    assert torch.isfinite(change.delta(t, torch.randn(4, 24, dtype=torch.float64))).all()


# refusals


@pytest.mark.parametrize(
    ("options", "setting", "value", "rule"),
    [
        ({"r": 1}, "r", "1", ""),
        ({"ansatz": "qhta"}, "ansatz", "'qhta'", ""),
        ({"engine": "gpu9"}, "engine", "'gpu9'", ""),
        ({"init": "zero"}, "init", "'zero'", ""),
        ({"alpha": 0}, "alpha", "0", ""),
        ({"dropout": 1.5}, "dropout", "1.5", ""),
        (
            {"fusion": "hadamard", "use_linear": False},
            "use_circuit and use_linear",
            "",
            "on for fusion=hadamard",
        ),
        (
            {"use_mpo": False, "use_circuit": False, "use_linear": False},
            "One of use_mpo, use_circuit and use_linear",
            "",
            "on",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(options, setting, value, rule):
    with refused(setting, value, rule=rule):
        get_method("qtha").check(options)


def test_one_qubit_is_enough_without_a_ring():
    QthaConfig(size="paper", r=1, use_circuit=False)
    QthaConfig(size="paper", r=1, ansatz="product")


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"in_dims": (4, 4)}, "in_dims", "(4, 4) (16)"),
        ({"in_dims": [8, 4]}, "in_dims", "(8, 4)"),
        ({"out_dims": (4, 2, 2, 2)}, "out_dims", "(4, 2, 2, 2) (32)"),
    ],
)
def test_factors_are_held_against_the_sizes_that_will_be_adapted(options, setting, value):
    with refused(setting, value):
        get_method("qtha").check(options, sizes=[(32, 32), (32, 16)])


def test_factors_that_fit_are_used():
    config = QthaConfig(r=2, waist=8, in_dims=(2, 8, 2, 1), use_circuit=False)
    assert config.change(Layer(32, 16)).maps.down.in_dims == (2, 8, 2, 1)


def test_bias_is_named_as_peft_names_it():
    QthaConfig(size="paper", bias="qtha_only")
    with refused("bias", "'some'"):
        QthaConfig(size="paper", bias="some")
