"""The benches of a step and of a call measure their parts; no test here asserts a time."""

import json
import sys

import pytest
from typer.testing import CliRunner

from benchmarks.imports import bench_imports
from benchmarks.imports import tables as tables_of_imports
from benchmarks.machine import forget_peak_memory, machine, peak_memory_bytes
from benchmarks.step import bench_step, tables
from qtha_lab.cli import app, parameters  # noqa: F401  (registers the commands)


@pytest.fixture(scope="module")
def measured():
    methods = ["lora(r=2)", "qtha(r=3,waist=16)"]
    rounds = []
    figures = bench_step(
        "tiny",
        methods,
        batch_size=2,
        tokens=8,
        rounds=2,
        parts=True,
        show=lambda *at: rounds.append(at),
    )
    return figures | {"rounds": rounds}


def test_every_method_takes_the_same_number_of_turns(measured):
    assert [len(entry["seconds_all"]) for entry in measured["methods"]] == [2, 2]
    assert measured["rounds"] == 2 * [(0, 2), (1, 2), (2, 2)]  # of whole steps, then of parts


def test_ratios_are_those_to_the_first_method(measured):
    lora, qtha = measured["methods"]
    assert (lora["time_ratio"], lora["memory_ratio"]) == (1, 1)
    pairs = [a / b for a, b in zip(qtha["seconds_all"], lora["seconds_all"], strict=True)]
    assert min(pairs) <= qtha["time_ratio"] <= max(pairs)


def test_the_parts_of_a_step_add_up(measured):
    lora, qtha = measured["methods"]
    parts = qtha["parts"]
    assert lora["seconds"] + parts["layers"] + parts["rest"] == pytest.approx(qtha["seconds"])
    of_layers = parts["with_layers"]["time_ratio"]
    assert of_layers == pytest.approx(1 + parts["layers"] / lora["seconds"])
    assert 0 < parts["roofline"] < parts["circuits"]


def test_parameters_are_those_of_the_adapter_alone(measured):
    # tiny: 6 layers, q 192 -> 192 and v 192 -> 64; LoRA r=2 trains r (in + out) a layer.
    assert measured["methods"][0]["trainable_parameters"] == 6 * 2 * ((192 + 192) + (192 + 64))


def test_the_tables_have_a_row_per_method_and_the_figures_name_the_machine(measured):
    assert json.loads(json.dumps(measured))["machine"]["cpu"] == machine()["cpu"]
    (_, steps), (_, parts) = tables(measured)
    assert [row[0] for row in steps[1:]] == [f"`{e['label']}`" for e in measured["methods"]]
    assert [row[0] for row in parts[1:]] == [steps[2][0]]


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset by Linux alone")
def test_the_high_water_mark_sees_a_block_that_was_freed_again():
    forget_peak_memory()
    before = peak_memory_bytes()
    block = bytearray(200 * 2**20)
    del block
    assert peak_memory_bytes() - before > 150 * 2**20
    forget_peak_memory()
    assert peak_memory_bytes() - before < 50 * 2**20


def test_the_command_lists_every_bench():
    output = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "120"}).output
    names = "compare coverage default-size imports list opening panels repeatable simulators"
    for name in (*names.split(), "start", "step"):
        assert f" {name} " in output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no processor time of ended processes")
def test_imports_are_timed_in_units_of_the_import_of_peft():
    figures = bench_imports(rounds=2)
    peft, ours = figures["results"].values()
    assert (peft["time_ratio"], len(ours["seconds_all"])) == (1, 2)
    pairs = [a / b for a, b in zip(ours["seconds_all"], peft["seconds_all"], strict=True)]
    assert min(pairs) <= ours["time_ratio"] <= max(pairs)
    ((_, rows),) = tables_of_imports(figures)
    assert [row[0] for row in rows[1:]] == [
        "`import peft`",
        "`import qtha_lab.adapters, qtha_lab.simulators`",
    ]
