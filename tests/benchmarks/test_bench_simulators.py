"""The simulator benchmark checks before it times, says what it leaves out, and names its machine."""

import ast
import json
import re
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import contenders, simulators_table
from benchmarks.contenders import PEERS, WORKER, EngineContender, Peer
from benchmarks.fitting import Fitting, Known
from benchmarks.grid import Grid, Row
from benchmarks.problem import TOLERANCE, Problem, checked_rows
from benchmarks.simulators import bench_simulators
from qtha_lab.circuits.ansatze import build
from qtha_lab.cli import app, bench  # noqa: F401  (it adds its commands)
from qtha_lab.simulators import expval_z

SMALL = Grid(qubits=(2, 3), layers=(1,), batches=(4, 70), rounds=2, seconds=0.2)
STANDARD = {"functools", "importlib", "json", "os", "sys", "time", "pathlib"}


@pytest.fixture(scope="module")
def measured():
    return bench_simulators(SMALL, ["cpu", "torch"], ["default.qubit"])


# agreement


def test_the_right_answer_is_that_of_another_engine_in_float64(tmp_path):
    problem = Problem(3, 2, tmp_path)
    arrays = (problem.inputs, problem.params.reshape(-1), problem.grads)
    inputs, params, grads = (torch.from_numpy(array).double() for array in arrays)
    inputs.requires_grad_(), params.requires_grad_()
    values = expval_z(build("qtha", n_qubits=3, n_layers=2), inputs, params, engine="torch")
    gradients = torch.autograd.grad(values, (inputs, params), grads)
    for result, right in zip((values, *gradients), problem.right, strict=True):
        np.testing.assert_allclose(result.detach().reshape(right.shape), right, atol=1e-12)


@pytest.mark.parametrize("samples", [4, 5, 300])
def test_the_whole_batch_has_the_parameter_gradients_of_the_checked_samples(tmp_path, samples):
    problem, contender = Problem(3, 1, tmp_path), EngineContender("torch")
    contender.prepare(problem.case(samples))
    result = contender.check()
    assert result[0].shape == (samples, 3)
    assert max(problem.differences(result, samples).values()) < 1e-5
    result[2][0, 3, 1] += 0.01
    wrong = problem.differences(result, samples)
    scale = max(1.0, abs(problem.right[2]).max())
    assert wrong["parameter gradients"] == pytest.approx(0.01 / scale, rel=0.01)
    assert wrong["values"] < TOLERANCE


def test_checked_samples_are_spread_from_first_to_last():
    assert checked_rows(4).tolist() == [0, 1, 2, 3]
    assert checked_rows(301).tolist() == [0, 100, 200, 300]


# a run


@pytest.mark.slow
def test_every_contender_has_a_row_in_every_case(measured):
    cases = {(r["contender"], r["n_qubits"], r["n_layers"], r["batch"]) for r in measured["rows"]}
    assert len(cases) == len(measured["rows"]) == 3 * 2 * 1 * 2
    for row in measured["rows"]:
        assert not row["left_out"]
        assert 4 <= row["samples"] <= row["batch"]
        assert len(row["forward"]) == len(row["backward"]) == 2
        assert max(row["differences"].values()) < TOLERANCE


def test_medians_are_given_a_sample(measured):
    row = measured["rows"][0]
    middle = (row["backward"][0] + row["backward"][1]) / 2
    assert row["backward_us"] == pytest.approx(middle / row["samples"] * 1e6)


def test_the_result_is_plain_json_with_machine_versions_and_commit(measured):
    again = json.loads(json.dumps(measured))
    assert again["machine"]["processor"] == measured["machine"]["processor"]
    # torch adds the build to its own version, "2.13.0+cu130", and PyPI's metadata leaves it out
    release = torch.__version__.split("+")[0]
    assert again["versions"]["torch"].split("+")[0] == release
    assert {"commit", "settings", "missing", "seconds"} <= again.keys()
    assert again["contenders"][2]["versions"]["pennylane"]


def test_the_roofline_is_that_of_the_work_over_the_time(measured):
    from qtha_lab.simulators.cpu.roofline import work

    rows = [row for row in measured["rows"] if row["contender"] == "cpu"]
    assert len(measured["roofline"]) == len(rows)
    for line, row in zip(measured["roofline"], rows, strict=True):
        passes = work(build("qtha", row["n_qubits"], row["n_layers"]))
        assert line["flops"] * row["backward_us"] / 1e6 == pytest.approx(
            sum(p.flops for p in passes)
        )
        assert line["share"] <= max(line["flops"] / line["peak_flops"], 1.0) * 2


def test_cases_after_the_last_minute_are_left_out():
    grid = Grid(qubits=(2, 3), layers=(1,), batches=(4,), rounds=1, seconds=0.1, minutes=1e-9)
    two, three = bench_simulators(grid, ["torch"], [])["rows"]
    assert two["left_out"] == three["left_out"] == "the run's 1e-09 minutes were over"


# how many samples


class Slow:
    """Stands for a contender that was never started; fitting only asks its name and kind."""

    name, batched = "slow", True


def test_samples_are_doubled_while_a_turn_is_short_and_never_past_the_batch():
    fitting = Fitting(Grid(seconds=1.2))  # a turn of 0.1 s: 1.2 / (2 · 1.5 · 4)
    assert fitting.grid.longest_turn == pytest.approx(0.1)
    assert fitting.allowed(Known(64, 0.02, 0, 0.0), 2048) == 256  # five times would fit: four
    assert fitting.allowed(Known(64, 0.09, 0, 0.0), 2048) == 128  # few cost more each than many
    assert fitting.allowed(Known(64, 0.11, 0, 0.0), 2048) == 64
    assert fitting.allowed(Known(64, 0.0001, 0, 0.0), 16384) == 2048  # 32 times at most
    assert fitting.allowed(Known(1024, 0.01, 0, 0.0), 2048) == 2048


def test_memory_stops_growth_as_time_does():
    fitting = Fitting(Grid())
    assert fitting.allowed(Known(64, 0.001, 2**50, 0.0), 2048) == 64


def test_whoever_compiles_takes_the_whole_batch_or_no_more():
    fitting = Fitting(Grid(seconds=1.2))  # four turns of 0.1 s are allowed
    assert fitting.allowed(Known(64, 0.012, 0, 5.0), 2048) == 2048  # 0.384 s
    assert fitting.allowed(Known(64, 0.013, 0, 5.0), 2048) == 64  # 0.416 s


def test_larger_batches_are_left_out_with_the_reason():
    fitting = Fitting(Grid())
    message = fitting.too_much(Known(512, 1.0, 0, 0.0), 16384, 512)
    assert message == "16,384 samples would take 32.0 s a turn, past the budget"
    assert fitting.too_much(Known(32, 1.0, 0, 0.0), 2048, 32) == ""  # timed again on few
    assert "first call of a shape takes 41 s" in fitting.too_much(Known(64, 0.1, 0, 41.0), 2048, 64)


def test_a_first_try_is_smaller_where_a_smaller_circuit_was_slow():
    fitting = Fitting(Grid(seconds=1.2))
    row = Row("slow", 6, 1, 2048)
    assert fitting.first_try(Slow, row) == 64
    fitting.known["slow", 4, 1] = Known(64, 0.064, 0, 0.0)
    # 1 ms per sample there; 6 · 2^6 / (4 · 2^4) = 6 times the work: 16 samples in 0.1 s
    assert fitting.first_try(Slow, row) == 16
    assert fitting.first_try(Slow, Row("slow", 12, 8, 2048)) == 4


class Compiler:
    """Stands for a peer that compiles every shape.

    A first call holds far more than those after it.
    """

    name, process, batched = "compiler", "self", True

    def __init__(self, problem):
        self.problem, self.shapes, self.blocks = problem, [], [300, 20]

    def prepare(self, case):
        self.shapes.append(case.samples)
        self.samples = case.samples

    def check(self):
        rows = checked_rows(self.samples)
        values, of_inputs = np.zeros((2, self.samples, self.problem.n_qubits))
        values[rows], of_inputs[rows] = self.problem.right[:2]
        bytearray(self.blocks[0] * 2**20)
        sleep(1.1)
        return values, of_inputs, self.problem.right[2]

    def time(self, kind):
        bytearray(self.blocks[1] * 2**20)
        return 1e-4


def test_who_compiles_long_is_asked_for_the_whole_batch_where_a_first_call_may_take_long(tmp_path):
    problem = Problem(3, 1, tmp_path)
    for longest, shapes, reason in (
        (900.0, [64, 2048], ""),
        (1.0, [64], "its first call of a shape takes N s"),
    ):
        fitting, compiler = Fitting(Grid(longest_first=longest)), Compiler(problem)
        for batch in (64, 2048):
            row = Row(compiler.name, 3, 1, batch)
            fitting.fit(compiler, row, problem)
        assert compiler.shapes == shapes  # each is compiled once, none between
        assert re.sub(r"\d+ s", "N s", row.left_out) == reason


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset by Linux alone")
def test_the_memory_of_compiling_is_not_taken_for_that_of_samples(tmp_path):
    problem = Problem(3, 1, tmp_path)
    fitting, compiler, row = Fitting(Grid()), Compiler(problem), Row("compiler", 3, 1, 64)
    fitting.fit(compiler, row, problem)
    assert 10 * 2**20 < row.peak_bytes < 100 * 2**20


# peers

WRONG = """
PACKAGES = ("torch",)
def build(n_qubits, n_layers, dtype):
    import os
    def run(inputs, params):
        if n_qubits == 3:
            print("out of luck", file=__import__("sys").stderr, flush=True)
            os._exit(1)
        return inputs + params.sum()
    return run
"""


@pytest.mark.slow
def test_a_peer_that_disagrees_or_ends_is_left_out_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text(WRONG)
    monkeypatch.setitem(PEERS, "wrong", Peer(str(tmp_path / "wrong"), None, "always wrong"))
    grid = Grid(qubits=(2, 3), layers=(1,), batches=(4,), rounds=1, seconds=0.1)
    two, three = bench_simulators(grid, [], ["wrong"])["rows"]
    assert two["left_out"].startswith("disagrees: values by ")
    assert "parameter gradients" in two["left_out"]
    assert three["left_out"] == "its process ended: out of luck"
    assert two["backward"] == three["backward"] == []


def test_a_peer_whose_environment_is_missing_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contenders.paths, "CHECKOUT", tmp_path)
    opened, missing = contenders.open_peers(["deepquantum"], 1, {})
    assert (opened, missing) == ([], {"deepquantum": "no environment: `make peers` builds it"})
    opened, missing = contenders.open_peers(
        ["deepquantum"], 1, {"deepquantum": Path(sys.executable)}
    )
    assert opened == []
    assert missing["deepquantum"] == "ModuleNotFoundError: No module named 'deepquantum'"


def test_who_may_compile_long_is_waited_for():
    assert Grid().patience == contenders.PATIENCE
    assert Grid(longest_first=900.0).patience == 1800.0


@pytest.mark.slow
def test_a_peer_is_waited_for_as_long_as_its_patience(tmp_path, monkeypatch):
    asleep = "PACKAGES = ('torch',)\ndef build(*case):\n    __import__('time').sleep(60)"
    (tmp_path / "asleep.py").write_text(asleep)
    monkeypatch.setitem(PEERS, "asleep", Peer(str(tmp_path / "asleep"), None, "asleep"))
    opened, missing = contenders.open_peers(["asleep"], 1, {}, patience=0.5)
    assert opened == []
    assert missing["asleep"] == "its process ended: killed, or silent for 0.5 s"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_installed_peer_agrees(name):
    if contenders.peer_python(name, {}) is None:
        pytest.skip("`make peers` builds its environment")
    grid = Grid(qubits=(3,), layers=(2,), batches=(70,), rounds=1, seconds=0.5)
    (row,) = bench_simulators(grid, [], [name])["rows"]
    assert not row["left_out"]
    assert row["backward_us"] > 0


@pytest.mark.parametrize("file", sorted(WORKER.parent.glob("*.py")), ids=lambda path: path.stem)
def test_peers_stand_alone_and_import_their_library_only_when_asked(file):
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            head = name.split(".")[0]
            assert head not in ("qtha_lab", "widgets")
            assert node not in tree.body or head in STANDARD


# sizes, tables, the command


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"qubits": (1, 4)}, "qubits must be 2 or more, not 1, 4"),
        ({"layers": ()}, "layers must be 1 or more, not none"),
        ({"batches": (3,)}, "batches must be 4 or more, not 3"),
        ({"rounds": 0}, "rounds must be positive, not 0"),
        ({"minutes": -1.0}, "minutes must be positive, not -1.0"),
        ({"longest_first": 0.0}, "longest_first must be positive, not 0.0"),
    ],
)
def test_sizes_that_cannot_be_measured_are_refused(sizes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        Grid(**sizes)


def test_an_unknown_peer_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Unknown peer 'torchquantm': did you mean 'torchquantum'"):
        bench_simulators(SMALL, [], ["torchquantm"])


def made_row(contender, backward, samples=2048, left_out=""):
    return {
        "contender": contender, "n_qubits": 8, "n_layers": 4, "batch": 2048, "samples": samples,
        "forward": backward, "backward": backward, "left_out": left_out,
        "forward_us": 1.0 if backward else None,
        "backward_us": sum(backward) / len(backward) / samples * 1e6 if backward else None,
    }  # fmt: skip


def made_result():
    names = {"cpu": "cpu", "torchquantum": "TorchQuantum", "deepquantum": "DeepQuantum"}
    return {
        "machine": {"processor": "a processor", "torch_threads": 2},
        "settings": {
            "qubits": [8],
            "layers": [4],
            "batches": [2048],
            "rounds": 3,
            "dtype": "float32",
        },
        "contenders": [{"name": n, "title": t, "versions": {}} for n, t in names.items()],
        "rows": [
            made_row("cpu", [0.014, 0.016, 0.018]),
            made_row("torchquantum", [0.1, 0.12, 0.14], samples=1024),
            made_row("deepquantum", [], samples=0, left_out="disagrees: values by 0.1"),
        ],
        "roofline": [{"n_qubits": 8, "n_layers": 4, "batch": 2048, "share": 0.43}],
        "missing": {},
    }


def test_the_readme_table_has_times_ratio_roofline_and_what_was_left_out():
    # cpu: 0.016 s / 2048 = 7.8 µs; the peer 0.12 s / 1024 = 117 µs, 15 times as long. Their fastest
    # turns take
    # 6.84 and 97.7 µs, 14.3 times as long.
    text = simulators_table.markdown(made_result())
    assert "| `cpu` | 7.8 (1.0) |" in text
    assert "| TorchQuantum | 117† (1.0) |" in text
    assert "| DeepQuantum | – |" in text
    assert "| fastest peer ÷ `cpu` | 15 × |" in text
    assert "| L = 4, batch 2,048, fastest turns | 14 × |" in text
    assert simulators_table.over_peers(made_result(), 4, 2048, fastest_turns=True) == {8: "14"}
    assert "| `cpu`, share of the roofline | 43% |" in text
    assert "Left out: deepquantum at n = 8, L = 4, batch 2,048: disagrees: values by 0.1." in text
    assert "at most 1.40 times" in text


def test_a_peer_timed_on_few_samples_alone_gives_about_the_ratio():
    # 0.015 s / 128 = 117 µs
    result = made_result()
    result["rows"][1] = made_row("torchquantum", [0.013, 0.015, 0.017], samples=128)
    text = simulators_table.markdown(result)
    assert "| fastest peer timed | torchquantum |" in text
    assert "| fastest peer ÷ `cpu` | ≈ 15 × |" in text
    assert simulators_table.over_peers(result, layers=4, batch=2048) == {8: "≈ 15"}


def left_out_after(us_at_64):
    """DeepQuantum timed at batch 64, and left out at 2,048 since it compiles long."""
    result = made_result()
    why = "its first call of a shape takes 54 s"
    result["rows"][2] = made_row("deepquantum", [], samples=0, left_out=why)
    result["settings"]["batches"] = [64, 2048]
    for name, us in (("cpu", 10), ("torchquantum", 150), ("deepquantum", us_at_64)):
        result["rows"].append(made_row(name, [64e-6 * us], samples=64) | {"batch": 64})
    return result


def test_a_ratio_is_at_most_so_much_where_a_peer_was_left_out_that_was_faster_on_a_smaller_batch():
    text = simulators_table.markdown(left_out_after(us_at_64=100))
    assert "| fastest peer ÷ `cpu` | ≤ 15 × |" in text
    assert "| L = 4, batch 64 | 10 × |" in text
    assert "Left out: deepquantum at n = 8, L = 4, batch 2,048: its first call of a shape" in text
    slower = simulators_table.markdown(left_out_after(us_at_64=200))
    assert "| fastest peer ÷ `cpu` | 15 × |" in slower
    assert "| L = 4, batch 64 | 15 × |" in slower


def test_a_ratio_is_at_most_so_much_where_a_peer_was_faster_on_a_few_samples_or_never_timed():
    # 117 µs a sample of the peer on half the batch; DeepQuantum on 64 of 2,048
    result = made_result()
    for seconds, ratio in ((64 * 100e-6, "≤ 15"), (64 * 200e-6, "15")):
        result["rows"][2] = made_row("deepquantum", [seconds], samples=64)
        assert simulators_table.over_peers(result, layers=4, batch=2048) == {8: ratio}
    result["rows"][2] = made_row("deepquantum", [], samples=0, left_out="its process ended: killed")
    assert simulators_table.over_peers(result, layers=4, batch=2048) == {8: "≤ 15"}
    result["rows"][1] = made_row("torchquantum", [0.015], samples=128)
    assert simulators_table.over_peers(result, layers=4, batch=2048) == {8: "≲ 15"}


def test_a_busy_machine_is_said_to_be():
    result = made_result()
    result["machine"]["load_before"] = 2.5
    assert simulators_table.left_out(result)[0].startswith("the machine was not idle: load 2.5")
    result["machine"]["load_before"] = 0.1
    assert simulators_table.left_out(result) == [
        "left out: deepquantum at n = 8, L = 4, batch 2,048: disagrees: values by 0.1"
    ]


def test_tables_of_a_real_run_are_complete(measured):
    tables = simulators_table.tables(measured)
    assert [caption for caption, _ in tables] == ["1 layers, batch 4", "1 layers, batch 70"]
    for _, rows in tables:
        assert [len(row) for row in rows] == [3] * 4
        assert not any("–" in cell for row in rows for cell in row)
    assert "n = 3" in simulators_table.markdown(measured, layers=1, batch=70)
    with pytest.raises(ValueError, match="4 layers with a batch of 2048 were not measured"):
        simulators_table.markdown(measured)


def test_the_command_measures_writes_and_prints_again(tmp_path):
    file = tmp_path / "out" / "simulators.json"
    words = "bench simulators --qubits 2 --layers 4 --batches 2048 --engines cpu --peers none"
    words += f" --rounds 1 --seconds-per-case 0.1 --json {file}"
    outcome = CliRunner().invoke(app, words.split(), env={"COLUMNS": "200"})
    assert outcome.exit_code == 0, outcome.output + str(outcome.exception)
    assert "roofline" in outcome.output
    again = CliRunner().invoke(app, ["bench", "simulators", "--table", str(file)])
    assert again.output == simulators_table.markdown(json.loads(file.read_text()))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--qubits four", "qubits must be whole numbers such as 4,6,8, not 'four'"),
        ("--peer-python torchquantum", "peer-python is NAME=PATH, not 'torchquantum'"),
        ("--engines cpuu --peers none", "Unknown engine 'cpuu'"),
    ],
)
def test_the_command_refuses_in_a_sentence(words, sentence):
    outcome = CliRunner().invoke(app, ["bench", "simulators", *words.split()])
    assert outcome.exit_code != 0
    assert sentence in str(outcome.exception or "") + outcome.output
