"""Costs against methods.md's table, `count_trainable`, transformers' own counts and hand
arithmetic.
"""

import dataclasses
import json

import pytest
import torch
from peft import LoraConfig
from support.refusals import refused
from support.small_models import make
from transformers import BertConfig, GPT2Config, LlamaConfig, Qwen2Config

from qtha_lab import adapters
from qtha_lab.adapters import QthaConfig
from qtha_lab.circuits import Angle, Circuit, Gate, Readout, ansatze
from qtha_lab.experiment.cost.circuit import count_circuit
from qtha_lab.experiment.cost.processors import (
    PROCESSORS,
    QUANTUM_PROCESSORS,
    Quoted,
    assumptions,
    get_quantum_processor,
)
from qtha_lab.experiment.cost.shapes import SHAPES, get_shape, shape_of
from qtha_lab.experiment.cost.step import Workload, base_flops, cost_of, cost_table
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
    cost = cost_table(
        {"lora": lora(r), "L=1": qtha(r=r, n_layers=1), "L=r": qtha(r=r)}, [shape], workload=SMALL
    )
    counted = [row["trainable_parameters"] for row in cost]
    assert counted == [blocks * of_lora, blocks * one_layer, blocks * r_layers]
    assert cost[1]["relative_parameters"] == one_layer / of_lora


@pytest.mark.parametrize("name", adapters.method_names())
def test_parameters_are_what_count_trainable_counts(name):
    method = adapters.get_method(name)
    small = next(iter(method.examples.values())) if method.ours else {}
    small = small | ({"n_frequency": 50} if "n_frequency" in method.settings() else {})
    config = method.make_config("CAUSAL_LM", TARGETS, **small)
    model = make("llama")
    cost = cost_of(config, shape_of(model.config), SMALL)
    assert cost.trainable_parameters == adapters.count_trainable(model, config)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("smollm2-135m", LlamaConfig(
            hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
            intermediate_size=1536, vocab_size=49152, tie_word_embeddings=True)),
        ("qwen2-7b", Qwen2Config(
            hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
            intermediate_size=18944, vocab_size=152064, tie_word_embeddings=False)),
        ("llama-3-70b", LlamaConfig(
            hidden_size=8192, num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8,
            intermediate_size=28672, vocab_size=128256, tie_word_embeddings=False)),
    ],
)  # fmt: skip
def test_a_named_shape_is_what_transformers_makes_of_its_config(name, config):
    named, shape = get_shape(name), shape_of(config)
    assert shape.n_parameters == named.n_parameters
    assert shape.sizes == named.sizes
    same = ("n_blocks", "hidden", "attention_width", "head_parameters")
    assert [getattr(shape, key) for key in same] == [getattr(named, key) for key in same]


def test_totals_are_those_the_models_are_known_by():
    # as `num_parameters()` reports them for the published checkpoints
    assert {name: shape.n_parameters for name, shape in SHAPES.items()} == {
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


# operations


def test_loras_operations_are_six_a_parameter_and_token():
    # forward 2, gradients of the input and of the weights 2 each
    cost = cost_of(lora(8), "llama-3-8b", Workload(rows=3, length=100))
    assert cost.adapter_flops == 6 * cost.trainable_parameters * 300


def test_qthas_operations_are_loras_and_what_is_joined_once_a_step():
    few = cost_of(qtha(r=8, use_circuit=False), "llama-3-8b", Workload(1, 100)).adapter_flops
    more = cost_of(qtha(r=8, use_circuit=False), "llama-3-8b", Workload(1, 300)).adapter_flops
    per_token = (more - few) / 200
    # A·M_A and M_B·B·W_c are made once; a token then costs LoRA's r (in + out)
    weights = sum(8 * (4096 + out) for out in (4096, 1024))
    assert per_token == 6 * 32 * weights
    assert few - 100 * per_token > 0


def test_the_bases_operations_are_those_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model = make("llama")
    shape = shape_of(model.config)
    ids = torch.ones(2, 16, dtype=torch.long)
    model.requires_grad_(False)
    inputs = model.get_input_embeddings()(ids).requires_grad_()
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(inputs_embeds=inputs).logits.sum().backward()
    ours = base_flops(shape, Workload(rows=2, length=16))
    attention = 3 * 32 * shape.n_blocks * 2 * shape.attention_width * 16
    # eager attention works out the masked half as well
    assert counter.get_total_flops() == ours + attention


@pytest.mark.parametrize("targets", ["all-linear", ".*(q|v)_proj", ["v_proj", "q_proj"]])
def test_targets_are_read_as_peft_reads_them(targets):
    config = QthaConfig(r=3, waist=8, bond_dim=2, target_modules=targets)
    model = make("llama")
    cost = cost_of(config, shape_of(model.config), SMALL)
    assert cost.trainable_parameters == adapters.count_trainable(model, config)


def test_a_method_that_torch_cannot_count_says_none():
    config = adapters.get_method("waveft").make_config(None, TARGETS, n_frequency=50)
    assert cost_of(config, shape_of(make("llama").config), SMALL).adapter_flops is None


def test_a_circuit_too_large_to_try_leaves_the_products_uncounted():
    cost = cost_of(qtha(r=24, n_layers=1), "smollm2-135m", SMALL)
    assert cost.adapter_flops is None
    assert cost.circuit.qubits == 24
    assert cost.simulator_flops > 2**24


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
    # parts with a turn: RY, RY, and RZ with ZZ for the CRZ; 6 operations on 4 amplitudes each
    assert cost.simulator_flops == 6 * 4 * 4


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
        one_qubit_gate=Quoted(0.0, "s", "test"),
        two_qubit_gate=Quoted(1e-6, "s", "test"),
        readout=Quoted(2e-6, "s", "test"),
        between_shots=Quoted(3e-6, "s", "test"),
        circuits_per_job=Quoted(100, "circuits", "test"),
        job_overhead=Quoted(7.0, "s", "test"),
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
    assert cost.row()["qubits"] == 0


# bytes and seconds


def test_bytes_by_hand():
    cost = cost_of(lora(2), "smollm2-135m", Workload(rows=1, length=10))
    assert cost.memory_bytes == {
        "weight": 2 * 134_515_008,
        "trained": 16 * 115_200,  # 30 · 2 · (576 + 576 + 576 + 192)
        "activation": 34 * 10 * 576 * 30,
    }
    assert cost.devices == 1


def test_seventy_billion_weights_need_more_than_one_device():
    cost = cost_of(lora(), "llama-3-70b", SMALL, processor="h100-sxm")
    assert cost.devices == 2  # 141 GB of weights, 80 GB each
    assert cost.adapter_flops < 0.01 * cost.base_flops


def test_a_step_takes_the_longer_of_computing_and_moving():
    h100 = PROCESSORS["h100-sxm"]
    large = cost_of(lora(), "llama-3-8b", Workload(8, 512), processor=h100)
    computing = (large.base_flops + large.adapter_flops) / (0.4 * h100.flops.value)
    assert large.seconds == pytest.approx(computing)
    one = cost_of(lora(), "llama-3-8b", Workload(1, 1), processor=h100)
    moving = 2 * one.memory_bytes["weight"] / h100.bandwidth.value
    assert one.seconds == pytest.approx(moving, rel=0.01)


def test_rows_are_plain_data_and_every_number_of_a_machine_has_a_source():
    rows = cost_table({"lora": lora(), "qtha": qtha(r=4)}, ["smollm2-135m"], workload=SMALL)
    assert json.loads(json.dumps(rows)) == rows
    assert [row["method"] for row in rows] == ["lora", "qtha"]
    table = assumptions()
    assert len(table) == 5 * len(PROCESSORS) + 7 * len(QUANTUM_PROCESSORS)
    assert all(row["source"] and row["value"] > 0 for row in table)
    assert any(row["assumed"] for row in table)
    assert not all(row["assumed"] for row in table)


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
            lambda: cost_of(lora(), "llama-3-8b", SMALL, processor="h100"),
            "processor",
            "'h100'",
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
