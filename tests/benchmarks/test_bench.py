"""The step benchmark measures what it says, on the toy model; no test here asserts a time."""

import json
import sys
import types

import pytest
import torch

from benchmarks import step_parts, turns
from benchmarks.expval import bench_expval
from benchmarks.machine import forget_peak_memory, machine, peak_memory_bytes
from benchmarks.step import _Step, bench_step
from qtha_lab.circuits.ansatze import build
from qtha_lab.experiment import MethodChoice
from qtha_lab.simulators import expval_z


@pytest.fixture(scope="module")
def measured():
    methods = [MethodChoice.parse("lora(r=2)"), MethodChoice.parse("qtha(r=3,waist=16)")]
    seen = []
    result = bench_step(
        "tiny",
        methods,
        batch_size=2,
        tokens=8,
        rounds=2,
        parts=True,
        on_round=lambda *at: seen.append(at),
    )
    return result | {"seen": seen}


def test_every_method_takes_the_same_number_of_turns(measured):
    assert [len(entry["seconds_all"]) for entry in measured["methods"]] == [2, 2]
    # of whole steps, then of their parts, then of steps whose circuits compute nothing
    assert measured["seen"] == 3 * [(0, 2), (1, 2), (2, 2)]


def test_ratios_are_those_to_the_first_method(measured):
    lora, qtha = measured["methods"]
    assert (lora["time_ratio"], lora["memory_ratio"]) == (1, 1)
    pairs = [a / b for a, b in zip(qtha["seconds_all"], lora["seconds_all"], strict=True)]
    assert min(pairs) <= qtha["time_ratio"] <= max(pairs)


def test_the_parts_of_a_step_are_all_of_it(measured):
    lora, qtha = measured["methods"]
    parts = qtha["parts"]
    assert lora["seconds"] + parts["layers"] + parts["rest"] == pytest.approx(qtha["seconds"])
    assert parts["with_layers"]["time_ratio"] == pytest.approx(
        1 + parts["layers"] / lora["seconds"]
    )
    assert 0 < parts["roofline"] < parts["circuits"] < parts["layers"]
    assert set(parts["phases"]) == {
        "forward",
        "forward_alone",
        "backward",
        "backward_alone",
        "after",
    }


def test_the_phases_of_a_step_are_all_of_it():
    (model,) = turns.adapted_models("tiny", [MethodChoice.parse("lora(r=2)")])
    step = _Step(model, torch.randint(10, 100, (1, 4)))
    start = step.now()
    step.take()
    took = step.now() - start
    forward, backward, after = step.phases[0]
    assert min(forward, backward, after) > 0
    assert forward + backward + after <= took


def test_parameters_are_those_of_the_adapter_alone(measured):
    # tiny: 6 layers, q 192 -> 192 and v 192 -> 64; LoRA r=2 trains r (in + out) a layer.
    assert measured["methods"][0]["trainable_parameters"] == 6 * 2 * ((192 + 192) + (192 + 64))


def test_the_result_names_its_machine_and_is_plain_json(measured):
    assert json.loads(json.dumps(measured))["machine"]["processor"] == machine()["processor"]


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset by Linux alone")
def test_the_high_water_mark_sees_a_block_that_was_freed_again():
    forget_peak_memory()
    before = peak_memory_bytes()
    block = bytearray(200 * 2**20)
    del block
    assert peak_memory_bytes() - before > 150 * 2**20
    forget_peak_memory()
    assert peak_memory_bytes() - before < 50 * 2**20


def test_circuits_of_a_hollow_step_compute_nothing_and_are_there_again_after_it():
    circuit, found = build("qtha", 4, 1), []

    def take():
        inputs, params = torch.rand(8, 4), torch.rand(circuit.n_params, requires_grad=True)
        values = expval_z(circuit, inputs, params, engine="cpu")
        found.extend((values.detach(), *torch.autograd.grad(values.sum(), params)))

    step_parts._hollow(types.SimpleNamespace(take=take))()
    assert [bool(numbers.any()) for numbers in found] == [False, False]
    take()
    assert [bool(numbers.any()) for numbers in found[2:]] == [True, True]


def test_the_parts_of_a_call_add_up_and_leave_the_threads_as_they_were():
    threads = torch.get_num_threads()
    measured = bench_expval(n_qubits=2, batch=3, rounds=1, graph=False)
    parts = measured["parts"]
    assert parts["whole"] == pytest.approx(parts["engine"] + parts["autograd"] + parts["rest"])
    assert {
        "whole",
        "engine",
        "kernel",
        "passes",
        "angles",
        "autograd",
        "no_slopes",
        "rest",
    } == set(parts)
    assert min(parts["passes"], parts["angles"]) > 0
    assert 0 < parts["kernel"] < parts["engine"]
    assert torch.get_num_threads() == threads
