"""Initial values of angles.

Every start over every method with a circuit, and what each is known to give.
"""

import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from support.refusals import refused
from torch import nn

from qtha_lab import adapters
from qtha_lab.adapters import Layer, QthaConfig, get_method, method_names
from qtha_lab.adapters.adapted_model import changes_on
from qtha_lab.adapters.initialisation import angles
from qtha_lab.adapters.initialisation.angles import AnglePosition, initialisation_of, mps
from qtha_lab.adapters.initialisation.angles.mps import decompose
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.circuits import ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import state
from tests.support.small_models import TARGETS, logits, make

WITH_ANGLES = [name for name in OUR_METHODS if "angles" in get_method(name).settings()]
MPS = {"chunk": 40, "generator": "mps", "mps_bond": 2}
SU4 = {"chunk": 40, "ansatz": "su4", "n_layers": 2}


def adapted(method, seed=1, base=None, **options) -> PeftModel:
    config = get_method(method).make_config("CAUSAL_LM", list(TARGETS["llama"]), **options)
    base = base or make("llama")
    torch.manual_seed(seed)
    return adapters.add_adapter(base, config)


def tensors(model):
    return {n: p.detach().clone() for n, p in model.state_dict().items() if "base_layer" not in n}


def random_run(folder, method, **options):
    """A saved adapter whose tensors all lie away from zero."""
    model = adapted(method, seed=5, init_weights=False, **options)
    model.save_pretrained(folder)
    return model


def test_the_tensors_that_a_method_names_hold_the_angles_of_its_circuits():
    assert set(WITH_ANGLES) <= set(method_names())
    for name, method in OUR_METHODS.items():
        for options in method.examples.values():
            change = method.make_config(**options).change(Layer(32, 16))
            held = change.angle_circuits()
            for tensor, circuits in held.items():
                count = sum(circuit.n_params for circuit in circuits)
                assert change.tensors()[tensor].shape == (count,)
            if change.circuits():  # what an engine runs; some circuits are multiplied out
                assert name in WITH_ANGLES
                assert [c for circuits in held.values() for c in circuits] == change.circuits()


@pytest.mark.parametrize("name", WITH_ANGLES)
def test_two_starts_of_a_seed_differ_in_the_angles_alone(name):
    uniform, small = (tensors(adapted(name, angles=start)) for start in ("uniform", "small"))
    change = changes_on(adapted(name))[0]
    differing = {key for key in uniform if not torch.equal(uniform[key], small[key])}
    assert differing
    follows = ["start"] if name == "qpa" else []  # what is subtracted is made of the angles
    for key in differing:
        assert any(f"{name}_{t}" in key for t in [*change.angle_circuits(), "frozen_start"]), key
        assert "frozen_start" not in key or follows
    angles = torch.cat([small[k].flatten() for k in differing if "frozen_start" not in k])
    assert angles.std() == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize("name", WITH_ANGLES)
def test_angles_of_a_run_are_taken_over_and_need_no_run_once_saved(name, tmp_path):
    trained = random_run(tmp_path / "run", name)
    model = adapted(name, angles=f"run({tmp_path / 'run'})")
    adapters.check_angles(make("llama"), model.peft_config["default"])
    adapters.initial_angles(model)
    for before, after in zip(changes_on(trained), changes_on(model), strict=True):
        assert before.layer.name == after.layer.name
        for tensor in after.angle_circuits():
            key = f"base_model.model.{after.layer.name}.{name}_{tensor}.default"
            assert torch.equal(trained.state_dict()[key], model.state_dict()[key])
    assert torch.equal(logits(model), logits(make("llama")))  # nothing changes at the start
    model.save_pretrained(tmp_path / "started")
    for file in (tmp_path / "run").iterdir():
        file.unlink()
    loaded = adapters.load_adapter(make("llama"), tmp_path / "started")
    before, after = tensors(model), tensors(loaded)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_run_of_other_sizes_or_none_is_refused_before_it_is_used(tmp_path):
    random_run(tmp_path / "run", "qtha", r=3, waist=8, n_layers=1)
    random_run(tmp_path / "linear", "qtha", r=3, waist=8, use_circuit=False)
    base = make("llama")
    for folder, text in (
        (
            "run",
            "must name a run with 24 angles at model.layers.0.self_attn.q_proj, got .* with 12",
        ),
        ("linear", "must name a run with a circuit at .*, got"),
        ("nowhere", "RUN must be a run with a finished adapter in .*, got '.*nowhere'"),
    ):
        config = get_method("qtha").make_config(
            "CAUSAL_LM", TARGETS["llama"], r=3, n_layers=2, angles=f"run({tmp_path / folder})"
        )
        with pytest.raises(Refusal, match=text):
            adapters.check_angles(base, config)


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"angles": "smal"}, "initialisation", "'smal'"),
        ({"angles": "run"}, "angles", "'run'"),
        ({"angles": "small(3)"}, "angles", "'small(3)'"),
        ({"angles": "mps(a)"}, "angles=mps(RUN)", "one with 4"),
        ({"angles": "small", "use_circuit": False}, "angles", "'small'"),
        ({"angles": "small", "stand_in": "silu"}, "angles", "'small'"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(options, setting, value):
    with refused(setting, value):
        QthaConfig(r=4, **options)


@pytest.mark.parametrize("name", ["qpa", "quantum_train"])
def test_a_generator_without_the_gates_refuses_a_matrix_product_state(name):
    with refused("ansatz", "another circuit"):
        get_method(name).make_config(angles="mps(a)")
    with refused("angles", "'small'"):
        get_method(name).make_config(angles="small", generator="mps")


def ghz(n):
    vector = np.zeros(2**n)
    vector[[0, -1]] = 0.5**0.5
    return vector


def w_state(n):
    vector = np.zeros(2**n)
    vector[[1 << k for k in range(n)]] = n**-0.5
    return vector


@pytest.mark.parametrize("make_state", [ghz, w_state])
@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_one_layer_prepares_ghz_and_w_exactly(make_state, n):
    target = make_state(n)
    found = decompose(target, 1, sweeps=0)
    circuit = ansatze.build_without_inputs("su4", n, 1)
    angles = torch.from_numpy(found.angles)
    prepared = state(circuit, torch.empty(0, dtype=torch.float64), angles).numpy()
    assert abs(np.vdot(target, prepared)) ** 2 > 1 - 1e-12
    assert found.fidelity > 1 - 1e-12


def test_sweeps_never_lose_fidelity_and_make_layers_worth_having():
    generator = np.random.default_rng(0)
    target = generator.normal(size=64) + 1j * generator.normal(size=64)
    target /= np.linalg.norm(target)
    with_sweeps = [decompose(target, k).fidelity for k in (1, 2, 3)]
    without = [decompose(target, k, sweeps=0).fidelity for k in (1, 2, 3)]
    assert with_sweeps == sorted(with_sweeps)
    assert all(a > b for a, b in zip(with_sweeps, without, strict=True))


def test_a_state_that_is_none_is_refused():
    for vector, text in ((np.ones(4), "norm 1"), (np.ones(6), "got 6 numbers")):
        with pytest.raises(Refusal, match=text):
            decompose(vector, 1)


@pytest.mark.slow
def test_a_matrix_product_state_is_quimbs():
    quimb = pytest.importorskip("quimb.tensor")
    numbers = torch.randn(mps.n_numbers(5, 3), dtype=torch.float64)
    sizes, first, arrays = mps.shapes(5, 3), 0, []
    for left, _, right in sizes:
        core = numbers[first : first + 2 * left * right].reshape(left, 2, right)
        first += 2 * left * right
        arrays.append(core.numpy())
    arrays[0], arrays[-1] = arrays[0][0], arrays[-1][..., 0]
    dense = quimb.MatrixProductState(arrays, shape="lpr").to_dense().ravel()
    ours = mps.amplitudes(numbers, 5, 3).numpy()
    assert np.allclose(ours, dense / np.linalg.norm(dense))


@pytest.mark.parametrize("name", ["qpa", "quantum_train"])
def test_a_circuit_goes_on_where_the_matrix_product_state_stopped(name, tmp_path):
    trained = random_run(tmp_path, name, **MPS)
    model = adapted(name, **SU4, angles=f"mps({tmp_path})")
    adapters.initial_angles(model)
    for before, after in zip(changes_on(trained), changes_on(model), strict=True):
        assert after.circuits()
        assert not before.circuits()
    assert (logits(model) - logits(make("llama"))).abs().max() > 1e-3
    assert (logits(model) - logits(trained)).abs().max() < 2e-3  # 0.01 radians of a further layer


def test_a_state_of_another_size_is_refused(tmp_path):
    random_run(tmp_path, "quantum_train", **MPS)
    method = get_method("quantum_train")
    config = method.make_config(
        "CAUSAL_LM", TARGETS["llama"], **(SU4 | {"chunk": 20}), angles=f"mps({tmp_path})"
    )
    with refused("angles=mps(RUN)", rule="name a run with a state of 6 qubits"):
        adapters.check_angles(make("llama"), config)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    for bond_dim in ("two", 0, 1e999, 10**9):
        changed = json.dumps(settings | {"mps_bond": bond_dim})
        (tmp_path / "adapter_config.json").write_text(changed)
        config = method.make_config("CAUSAL_LM", TARGETS["llama"], **SU4, angles=f"mps({tmp_path})")
        with refused("angles=mps(RUN)", rule="name a run with mps_bond from 1 to 256"):
            adapters.check_angles(make("llama"), config)
    settings["generator"] = "classical"
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    config = method.make_config("CAUSAL_LM", TARGETS["llama"], **SU4, angles=f"mps({tmp_path})")
    with refused("angles=mps(RUN)", "with generator=classical"):
        adapters.check_angles(make("llama"), config)


def test_uniform_angles_are_those_of_the_seed():
    circuit = ansatze.build("qtha", 3, 2)
    params = torch.empty(circuit.n_params)
    torch.manual_seed(3)
    angles.draw_angles(params, "uniform", [circuit])
    torch.manual_seed(3)
    assert torch.equal(params, nn.init.uniform_(torch.empty(24), -torch.pi, torch.pi))
    again = initialisation_of("uniform").angles(AnglePosition(circuit), params)
    assert torch.equal(again, params)
