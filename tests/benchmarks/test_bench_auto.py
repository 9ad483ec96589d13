"""The bench of what "auto" takes: every engine it may take is timed, and the ratio is to the fastest."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks import auto
from benchmarks.auto import LAYERS, MOST, QUBITS, bench_auto, markdown
from qtha_lab.cli import app, bench  # noqa: F401  (it adds its commands)
from qtha_lab.simulators.engine_selection import automatic


def test_every_engine_is_timed_in_every_case_and_the_ratio_is_to_the_fastest():
    labels = []
    result = bench_auto((2, 3), (1,), (1, 5), rounds=2, on_case=labels.append)
    assert len(labels) == len(result["cases"]) == 4
    for case in json.loads(json.dumps(result))["cases"]:
        assert set(case["seconds"]) == set(automatic()) - {"triton"}  # that is for CUDA
        spent = {name: case["first"][name] + 99 * of for name, of in case["seconds"].items()}
        assert case["ratio"] == pytest.approx(spent[case["chosen"]] / min(spent.values()))
    assert markdown(result).count("\n| n=") == 4


def test_a_case_of_too_many_amplitudes_is_passed_over_and_named(monkeypatch):
    monkeypatch.setattr(auto, "MOST", 2**10)
    result = bench_auto((2, 8), (1, 2), (4, 2000), rounds=1)
    sizes = [(case["n_qubits"], case["n_layers"], case["batch"]) for case in result["cases"]]
    # 4 samples of 2^8 amplitudes are 2^10: as many as are timed, with one layer
    assert sizes == [(2, 1, 4), (2, 2, 4), (8, 1, 4)]
    assert result["passed_over"] == [
        (2, 1, 2000),
        (2, 2, 2000),
        (8, 1, 2000),
        (8, 2, 4),
        (8, 2, 2000),
    ]
    assert "n=8, L=1: 2,000; n=8, L=2: 4 and 2,000 samples\n" in markdown(result)


def test_a_case_whose_fastest_engine_takes_long_at_first_is_named():
    case = {
        "n_qubits": 20, "n_layers": 1, "batch": 1, "seconds": {"cpu": 1.0, "torch": 0.7}, "first": {"cpu": 3.0, "torch": 40.0},
        "chosen": "cpu", "ratio": 102 / 109.3,
    }  # fmt: skip
    result = {"cases": [case], "passed_over": [], "machine": {"torch_threads": 2}}
    assert (
        "0 of 1 cases over 1.2 times the fastest in their first 100 calls, 1 in a later one (n=20, L=1, 1: 1.43 times torch, "
        "whose first call takes 40.0 s for 3.0 s)"
    ) in markdown(result)


def test_the_usual_grid_has_few_and_many_layers_and_up_to_twenty_qubits():
    cases = [(n, layers) for n in QUBITS for layers in LAYERS if layers * 2**n <= MOST]
    assert {(4, 1), (4, 2), (4, 8), (14, 8), (20, 1), (20, 2)} <= set(cases)


def test_sizes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="layers must be 1 or more, not 0, 2"):
        bench_auto((2,), (0, 2))
    outcome = CliRunner().invoke(app, ["bench", "auto", "--qubits", "four"])
    sentence = "qubits must be whole numbers such as 4,6,8, not 'four'"
    assert sentence in str(outcome.exception or "") + outcome.output


def test_the_command_takes_sizes(tmp_path):
    file = tmp_path / "auto.json"
    words = f"bench auto --qubits 2 --layers 1 --batches 3 --rounds 1 --json {file}"
    outcome = CliRunner().invoke(app, words.split(), env={"COLUMNS": "200"})
    assert outcome.exit_code == 0, outcome.output + str(outcome.exception)
    (case,) = json.loads(file.read_text())["cases"]
    assert (case["n_qubits"], case["n_layers"], case["batch"]) == (2, 1, 3)
