"""Costs against methods.md's table, `count_trainable`, transformers' own counts and hand
arithmetic.
"""

import dataclasses

import pytest
from peft import LoraConfig
from support.refusals import refused
from support.small_models import make
from transformers import BertConfig, GPT2Config

from qtha_lab import adapters
from qtha_lab.adapters import QthaConfig
from qtha_lab.circuits import Angle, Circuit, Gate, Readout, ansatze
from qtha_lab.experiment.cost.shapes import SHAPES, get_shape, shape_of
from qtha_lab.experiment.cost.step import (
    QUANTUM_PROCESSORS,
    Quoted,
    Workload,
    cost_of,
    count_circuit,
    get_quantum_processor,
)
from qtha_lab.simulators.device import engine

TARGETS = ["q_proj", "v_proj"]
SMALL = Workload(rows=2, length=32, shots=100)


def lora(r=8, targets=TARGETS):
    return LoraConfig(r=r, target_modules=list(targets))


def qtha(**options):
    return QthaConfig(**{"size": "paper"} | options, target_modules=list(TARGETS))


# parameters


@pytest.mark.parametrize(
    ("shape", "r", "of_lora", "one_layer", "r_layers"),
    [
        ("qwen2-7b", 4, 45_056, 20_352, 20_448),
        ("qwen2-7b", 8, 90_112, 24_672, 25_120),
        ("qwen2-7b", 10, 112_640, 26_880, 27_600),
        ("llama-3-8b", 8, 106_496, 25_792, 26_240),
    ],
)
def test_parameters_of_a_block_are_those_of_the_published_arithmetic(
    shape, r, of_lora, one_layer, r_layers
):
    # methods.md 1.5, the table "per transformer layer, q_proj + v_proj"
    blocks = get_shape(shape).n_blocks
    methods = lora(r), qtha(r=r, n_layers=1), qtha(r=r)
    counted = [cost_of(method, shape, SMALL).trainable_parameters for method in methods]
    assert counted == [blocks * of_lora, blocks * one_layer, blocks * r_layers]


@pytest.mark.parametrize("name", adapters.method_names())
def test_parameters_are_what_count_trainable_counts(name):
    method = adapters.get_method(name)
    small = next(iter(method.examples.values())) if method.ours else {}
    small = small | ({"n_frequency": 50} if "n_frequency" in method.settings() else {})
    config = method.make_config("CAUSAL_LM", TARGETS, **small)
    model = make("llama")
    cost = cost_of(config, shape_of(model.config), SMALL)
    assert cost.trainable_parameters == adapters.count_trainable(model, config)


def test_totals_are_those_the_models_are_known_by():
    # as `num_parameters()` reports them for the published checkpoints
    assert {name: get_shape(name).n_parameters for name in SHAPES} == {
        "smollm2-135m": 134_515_008,
        "qwen2-7b": 7_615_616_512,
        "llama-3-8b": 8_030_261_248,
        "llama-3-70b": 70_553_706_496,
    }


def test_other_architectures_are_read_from_their_config():
    gpt2 = shape_of(GPT2Config())
    assert gpt2.n_parameters == 124_439_808
    assert gpt2.sizes["c_attn"] == (768, 2304)
    assert gpt2.sizes["c_fc"] == (768, 3072)
    assert sorted(gpt2.sizes.values()) == sorted(
        [(768, 2304), (768, 768), (768, 3072), (3072, 768)]
    )
    cost = cost_of(lora(4, ["c_attn"]), gpt2, SMALL)
    assert cost.trainable_parameters == 12 * 4 * (768 + 2304)
    bert = shape_of(BertConfig(is_decoder=True))
    assert bert.sizes["query"] == (768, 768)
    assert (
        sum(i * o for i, o in bert.sizes.values()) == 12 * 768**2
    )  # q, k, v, out, 4 + 4 of the MLP


@pytest.mark.parametrize("targets", ["all-linear", ".*(q|v)_proj", ["v_proj", "q_proj"]])
def test_targets_are_read_as_peft_reads_them(targets):
    config = QthaConfig(r=3, waist=8, bond_dim=2, target_modules=targets)
    model = make("llama")
    cost = cost_of(config, shape_of(model.config), SMALL)
    assert cost.trainable_parameters == adapters.count_trainable(model, config)


# circuits


def test_a_circuit_counted_by_hand():
    circuit = Circuit(
        2,
        [
            Gate("RY", 0, Angle.input(0)),
            Gate("RY", 1, 0.5),
            Gate("CRZ", (0, 1), Angle.param(0)),
        ],
    )
    cost = count_circuit(circuit)
    assert cost.gradient_circuits == 2 + 4  # the constant has no slope
    assert cost.two_qubit_depth == 1
    assert cost.hardware.two_qubit_gates == 2  # a controlled turn is two CZ and turns between


@pytest.mark.parametrize("name", ansatze.names())
def test_runs_for_gradients_are_those_of_the_device_engine(name):
    circuit = ansatze.build(name, 4, 2, True)
    readout = Readout.z(4)
    _, shifts = engine.circuits(circuit, readout, "device:default.qubit(shots=10)")
    assert count_circuit(circuit).gradient_circuits == shifts


def test_qthas_circuits_run_once_a_token_and_layer():
    cost = cost_of(qtha(r=4, n_layers=2), "smollm2-135m", SMALL)
    assert cost.circuits == 30 * 2 * 64  # blocks, q and v, tokens
    # a layer has 4 RY of data, 8 RY, 8 CRZ: 12 · 2 + 8 · 4 = 56
    assert cost.gradient_circuits == cost.circuits * 2 * 56
    assert cost.shots == 100 * cost.circuits
    assert cost.circuit == count_circuit(ansatze.build("qtha", 4, 2, True))


def test_blocks_left_to_lora_run_no_circuit():
    cost = cost_of(qtha(r=4, n_layers=2, classical_layers=10), "smollm2-135m", SMALL)
    assert cost.circuits == 20 * 2 * 64


def test_generators_of_weights_run_once_a_layer():
    config = adapters.get_method("qpa").make_config(None, TARGETS)
    assert cost_of(config, "smollm2-135m", SMALL).circuits == 30 * 2
    classical = adapters.get_method("qpa").make_config(None, TARGETS, generator="classical")
    assert cost_of(classical, "smollm2-135m", SMALL).circuits == 0


def test_time_on_hardware_is_shots_and_jobs():
    qpu = dataclasses.replace(
        get_quantum_processor("superconducting"),
        one_qubit_gate=Quoted(0.0, "test"),
        two_qubit_gate=Quoted(1e-6, "test"),
        readout=Quoted(2e-6, "test"),
        between_shots=Quoted(3e-6, "test"),
        circuits_per_job=Quoted(100, "test"),
        job_overhead=Quoted(7.0, "test"),
    )
    cost = cost_of(qtha(r=4, n_layers=1), "smollm2-135m", SMALL, quantum_processor=qpu)
    depth = cost.circuit.hardware.two_qubit_depth
    jobs = -(-cost.circuits // 100)
    shots = cost.circuits * 100 * (depth + 2 + 3) * 1e-6
    assert cost.quantum_forward_seconds == pytest.approx(shots + 7 * jobs)
    assert cost.quantum_step_seconds > 50 * cost.quantum_forward_seconds
    serial = dataclasses.replace(qpu, parallel=False)
    gates = cost.circuit.hardware.two_qubit_gates
    assert cost.circuit.shot_seconds(serial) == pytest.approx((gates + 2 + 3) * 1e-6)


def test_a_circuit_too_large_for_a_machine_has_no_time_on_it():
    cost = cost_of(qtha(r=12, n_layers=1), "smollm2-135m", SMALL, quantum_processor="trapped-ion")
    assert cost.circuits > 0
    assert cost.quantum_forward_seconds is None  # 12 qubits on 11


def test_a_classical_method_has_no_quantum_time():
    cost = cost_of(lora(), "smollm2-135m", SMALL)
    assert cost.circuit is None
    assert cost.quantum_forward_seconds is None


def test_every_number_of_a_machine_has_a_source():
    for machine in QUANTUM_PROCESSORS.values():
        numbers = [n for n in vars(machine).values() if isinstance(n, Quoted)]
        assert len(numbers) == 7
        assert all(number.source and number.value > 0 for number in numbers)


@pytest.mark.parametrize(
    ("what", "setting", "value", "rule"),
    [
        (
            lambda: cost_of(lora(), "llama-3-8", SMALL),
            "model shape",
            "'llama-3-8'",
            "",
        ),
        (
            lambda: cost_of(lora(), "llama-3-8b", SMALL, quantum_processor="ions"),
            "quantum processor",
            "'ions'",
            "",
        ),
        (
            lambda: cost_of(lora(8, ["query"]), "llama-3-8b", SMALL),
            "linear layer of llama-3-8b",
            "'query'",
            "",
        ),
        (
            lambda: cost_of(QthaConfig(), "llama-3-8b", SMALL),
            "target_modules",
            "",
            "named: q_proj",
        ),
        (
            lambda: cost_of(QthaConfig(target_modules="x.*"), "llama-3-8b", SMALL),
            "target_modules",
            "'x.*'",
            "",
        ),
        (lambda: Workload(rows=0), "rows", "0", ""),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(what, setting, value, rule):
    with refused(setting, value, rule=rule):
        what()
