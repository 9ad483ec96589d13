"""The simulator benchmark checks before it times, and states what it leaves out."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.refusals import refused
from typer.testing import CliRunner

from benchmarks import contenders, peers, simulators
from benchmarks.contenders import TOLERANCE, Contender, Problem, checked_rows
from benchmarks.peers import PEERS
from benchmarks.simulators import Grid, Timing, bench_simulators, next_samples, tables
from qtha_lab.circuits.ansatze import build
from qtha_lab.cli import app, parameters  # noqa: F401  (registers the commands)
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z

SMALL = Grid(qubits=(2, 3), layers=(1,), batches=(4, 70), rounds=2, seconds=0.2)


def measure(grid, engines, peers):
    return bench_simulators(**vars(grid), engines=engines, peers=peers)


@pytest.fixture(scope="module")
def measured():
    return measure(SMALL, ["cpu", "torch"], ["default.qubit"])


@pytest.fixture(scope="module")
def torch_engine():
    contender = Contender("torch", 1)
    yield contender
    contender.close()


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
def test_the_whole_batch_has_the_parameter_gradients_of_the_checked_samples(
    tmp_path, samples, torch_engine
):
    problem = Problem(3, 1, tmp_path)
    torch_engine.prepare(problem, samples)
    result = torch_engine.check()
    assert result[0].shape == (samples, 3)
    assert max(problem.differences(result).values()) < 1e-5
    result[2][0, 3, 1] += 0.01
    wrong = problem.differences(result)
    scale = max(1.0, abs(problem.right[2]).max())
    assert wrong["parameter gradients"] == pytest.approx(0.01 / scale, rel=0.01)
    assert wrong["values"] < TOLERANCE


def test_checked_samples_are_spread_from_first_to_last():
    assert checked_rows(4).tolist() == [0, 1, 2, 3]
    assert checked_rows(301).tolist() == [0, 100, 200, 300]


def test_the_gates_of_a_peer_are_those_of_the_qtha_ansatz():
    inputs, params = np.arange(3) / 10, np.arange(24).reshape(2, 4, 3)
    wires = [gate for gate, _ in peers.gates(3, 2, inputs, params)]
    assert wires == [tuple(gate.wires) for gate in build("qtha", 3, 2).gates]
    angles = [angle for _, angle in peers.gates(3, 2, inputs, params)]
    assert angles[:3] == [0.0, 0.1, 0.2]
    assert [angle for angle in angles if isinstance(angle, np.integer)] == [*range(24)]


# a run


@pytest.mark.slow
def test_every_contender_has_a_row_in_every_case(measured):
    cases = {(r["contender"], r["n_qubits"], r["n_layers"], r["batch"]) for r in measured["rows"]}
    assert len(cases) == len(measured["rows"]) == 3 * 2 * 1 * 2
    for row in measured["rows"]:
        assert not row["left_out"]
        assert 4 <= row["samples"] <= row["batch"]
        assert len(row["forward"]) == len(row["backward"]) == 2


@pytest.mark.slow
def test_the_figures_are_plain_json_with_medians_versions_and_commit(measured):
    again = json.loads(json.dumps(measured))
    assert {"machine", "commit", "date", "settings", "missing"} <= again.keys()
    assert again["contenders"][2]["versions"]["pennylane"]
    row = measured["rows"][0]
    middle = (row["backward"][0] + row["backward"][1]) / 2
    assert row["backward_us"] == pytest.approx(middle / row["samples"] * 1e6)
    shares = [row["share"] for row in measured["rows"]]
    assert [share is not None for share in shares] == [
        row["contender"] == "cpu" for row in measured["rows"]
    ]
    assert [caption[:43] for caption, _ in tables(measured)] == [
        "QTHA circuit, L = 1, batch 4, float32: µs p",
        "QTHA circuit, L = 1, batch 70, float32: µs ",
    ]
    for _, rows in tables(measured):
        assert not any("–" in cell for row in rows[1:4] for cell in row)


def test_cases_after_the_last_minute_are_left_out():
    grid = Grid(qubits=(2, 3), layers=(1,), batches=(4,), rounds=1, seconds=0.1, minutes=1e-9)
    two, three = measure(grid, ["torch"], ["none"])["rows"]
    assert two["left_out"] == three["left_out"] == "the 1e-09 minutes were over"


# number of samples


@pytest.mark.parametrize(
    ("seconds", "first", "samples"),
    [
        (0.02, 0.0, 256),  # five times as many fit a turn of 0.1 s: four
        (0.11, 0.0, 64),
        (0.0001, 0.0, 2048),  # at most 32 times as many
        (0.012, 5.0, 2048),  # compiled: 0.384 s for the whole batch, four turns are allowed
        (0.013, 5.0, 64),
        (0.012, 41.0, 64),
    ],
)
def test_samples_grow_while_a_turn_is_short_and_a_compiler_takes_the_whole_batch(
    seconds, first, samples
):
    grid = Grid(seconds=1.2)
    assert grid.longest_turn == pytest.approx(0.1)  # 1.2 / (3 · 4)
    assert next_samples(grid, Timing("a", 4, 1, 2048, 64), seconds, first, 1) == samples


def test_memory_stops_growth_as_time_does():
    assert next_samples(Grid(), Timing("a", 4, 1, 2048, 64), 0.001, 0.0, 2**50) == 64


def test_a_contender_that_compiles_is_asked_for_the_whole_batch_at_once(
    tmp_path, monkeypatch, torch_engine
):
    problem, contender, shapes = Problem(3, 1, tmp_path), torch_engine, []

    def prepare(problem, samples, prepare=contender.prepare):
        shapes.append(samples)
        prepare(problem, samples)

    monkeypatch.setattr(contender, "prepare", prepare)
    monkeypatch.setattr(simulators, "COMPILES", -1.0)
    monkeypatch.setattr(contender, "time", lambda kind: 1e-9)
    simulators.fit(Grid(), contender, row := Timing("torch", 3, 1, 2048), problem)
    assert (shapes, row.samples) == ([64, 2048], 2048)


# peers


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Peers with one more, in a copy of the worker's file."""

    def add(build: str) -> None:
        source = Path(peers.__file__).read_text(encoding="utf-8")
        peer = f'{build}\nPEERS["added"] = Peer("added", "", ("torch",), added)\n\n\n'
        marker = "class _Torch:"
        file = tmp_path / "peers.py"
        file.write_text(source.replace(marker, peer + marker), encoding="utf-8")
        monkeypatch.setattr(contenders.peers, "__file__", str(file))
        monkeypatch.setitem(PEERS, "added", peers.Peer("added", "", ("torch",), peers.pennylane))

    return add


WRONG = """
def added(n_qubits, n_layers):
    def run(inputs, params):
        if n_qubits == 3:
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(1)
        return inputs + params.sum()
    return run
"""


@pytest.mark.slow
def test_a_peer_that_disagrees_or_ends_is_left_out_with_the_reason(worker):
    worker(WRONG)
    grid = Grid(qubits=(2, 3), layers=(1,), batches=(4,), rounds=1, seconds=0.1)
    two, three = measure(grid, ["none"], ["added"])["rows"]
    assert two["left_out"].startswith("disagrees: values by ")
    assert "parameter gradients" in two["left_out"]
    assert three["left_out"] == "its process ended: out of luck"
    assert two["backward"] == three["backward"] == []


@pytest.mark.slow
def test_a_peer_without_an_answer_is_stopped_after_its_patience(worker):
    worker("def added(n_qubits, n_layers):\n    time.sleep(60)\n")
    opened, missing = contenders.open_peers(["added"], 1, patience=0.5)
    assert opened == []
    assert missing["added"] == "its process ended: killed, or no answer for 0.5 s"


def test_a_peer_whose_environment_or_library_is_missing_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(contenders.paths, "CHECKOUT", tmp_path)
    opened, missing = contenders.open_peers(["torchquantum"], 1)
    assert (opened, missing) == ([], {"torchquantum": "no environment; `make peers` builds it"})
    monkeypatch.setitem(PEERS, "torchquantum", PEERS["torchquantum"]._replace(environment=""))
    opened, missing = contenders.open_peers(["torchquantum"], 1)
    assert opened == []
    assert missing["torchquantum"] == "ModuleNotFoundError: No module named 'torchquantum'"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_installed_peer_agrees(name):
    if contenders.python_of(name) is None:
        pytest.skip("`make peers` builds its environment")
    grid = Grid(qubits=(3,), layers=(2,), batches=(70,), rounds=1, seconds=0.5)
    (row,) = measure(grid, ["none"], [name])["rows"]
    assert not row["left_out"]
    assert row["backward_us"] > 0


def test_the_file_of_peers_imports_only_the_standard_library_at_its_top():
    for node in ast.parse(Path(peers.__file__).read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_an_unknown_peer_is_refused_with_the_nearest():
    with refused(remedy="'torchquantum'"):
        measure(SMALL, ["none"], ["torchquantm"])


# sizes, tables, the command


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"qubits": (1, 4)}, "qubits must be 2 or more, got 1, 4."),
        ({"layers": ()}, "layers must be 1 or more, got none."),
        ({"batches": (3,)}, "batches must be 4 or more, got 3."),
        ({"rounds": 0}, "rounds must be positive, got 0."),
        ({"longest_first": 0.0}, "longest_first must be positive, got 0.0."),
    ],
)
def test_sizes_that_cannot_be_measured_are_refused(sizes, sentence):
    with pytest.raises(Refusal) as refused:
        Grid(**sizes)
    assert str(refused.value) == sentence


def made_row(contender, backward, samples=2048, left_out=""):
    return {
        "contender": contender, "n_qubits": 8, "n_layers": 4, "batch": 2048, "samples": samples,
        "backward": backward, "left_out": left_out, "forward_us": 1.0 if backward else None,
        "backward_us": sum(backward) / len(backward) / samples * 1e6 if backward else None,
        "share": 0.43 if contender == "cpu" else None,
    }  # fmt: skip


def made_figures(samples=1024):
    titles = {"cpu": "`cpu`", "torchquantum": "TorchQuantum", "deepquantum": "DeepQuantum"}
    sizes = {"qubits": [8], "layers": [4], "batches": [2048], "rounds": 3, "dtype": "float32"}
    return {
        "machine": {"torch_threads": 2},
        "settings": sizes,
        "contenders": [{"name": n, "title": t, "versions": {}} for n, t in titles.items()],
        "rows": [
            made_row("cpu", [0.014, 0.016, 0.018]),
            made_row("torchquantum", [0.1, 0.12, 0.14], samples=samples),
            made_row("deepquantum", [], samples=0, left_out="disagrees: values by 0.1"),
        ],
        "missing": {"qulacs": "no environment"},
    }


def test_the_table_has_times_ratio_roofline_and_left_out_contenders():
    # cpu: 0.016 s / 2048 = 7.8 µs; the peer 0.12 s / 1024 = 117 µs, 15 times as long
    ((caption, rows),) = tables(made_figures())
    assert rows == [
        ("", "n = 8"),
        ("`cpu`", "7.8 (1.0)"),
        ("TorchQuantum", "117† (1.0)"),
        ("DeepQuantum", "–"),
        ("fastest peer", "torchquantum"),
        ("fastest peer ÷ `cpu`", "15 ×"),
        ("`cpu`, share of the roofline", "43%"),
    ]
    assert "† timed on fewer samples (1,024 to 1,024)." in caption
    assert "Left out: deepquantum at n = 8: disagrees: values by 0.1." in caption
    assert caption.endswith("Missing: qulacs: no environment.")


def test_a_peer_that_was_timed_on_few_samples_gives_no_ratio():
    ((_, rows),) = tables(made_figures(samples=256))
    assert rows[4:6] == [("fastest peer", "–"), ("fastest peer ÷ `cpu`", "–")]


@pytest.mark.slow
def test_the_command_measures_prints_and_writes(tmp_path):
    file = tmp_path / "out" / "simulators.json"
    words = "bench simulators --qubits 2 --layers 4 --batches 2048 --engines cpu --peers none"
    words += f" --rounds 1 --seconds 0.1 --json {file}"
    answer = CliRunner().invoke(app, words.split(), env={"COLUMNS": "200"})
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    assert "roofline" in answer.output
    assert json.loads(file.read_text())["rows"][0]["contender"] == "cpu"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--qubits four", "qubits must be whole numbers such as 4,6,8, got 'four'"),
        ("--engines cpuu --peers none", "Unknown engine 'cpuu'"),
    ],
)
def test_the_command_refuses_in_a_sentence(words, sentence):
    answer = CliRunner().invoke(app, ["bench", "simulators", *words.split()])
    assert answer.exit_code != 0
    assert sentence in str(answer.exception or "") + answer.output
