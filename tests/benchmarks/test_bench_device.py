"""The bench of `qtha.cpu` times three devices that agree, in turns; no test here asserts a time."""

import json

import pytest
import torch

from benchmarks import device
from benchmarks.device import METHODS, bench_device, markdown
from qtha_lab.core.errors import Refusal


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "TURN_SECONDS", 0.0)
        return bench_device(qubits=(2,), batches=(1, 3), rounds=2)


def test_every_device_takes_its_turns_in_every_case(figures):
    assert json.loads(json.dumps(figures)) == figures
    kinds = [(case["n_qubits"], case["batch"], case["kind"]) for case in figures["cases"]]
    assert kinds == [(2, b, k) for b in (1, 3) for k in ("values", "values and gradients")]
    for case in figures["cases"]:
        assert [entry["label"] for entry in case["devices"]] == list(METHODS)
        assert [len(entry["seconds_all"]) for entry in case["devices"]] == [2, 2, 2]
        assert case["devices"][0]["time_ratio"] == 1


def test_the_page_has_a_row_for_each_case(figures):
    page = markdown(figures)
    assert page.count("\n| 2, ") == 4
    assert "lightning.qubit (adjoint), × that" in page


def test_seconds_are_of_one_call(monkeypatch):
    monkeypatch.setattr(device, "_calls_of_a_turn", lambda call: 4)
    monkeypatch.setattr(device, "take_turns", lambda works, rounds, on_round: [[2.0, 4.0]])
    [entry] = device._timed({"qtha.cpu": lambda: []}, rounds=2)
    assert entry["seconds_all"] == [0.5, 1.0]


def test_nobody_is_timed_who_disagrees():
    calls = {"qtha.cpu": lambda: [torch.zeros(2)], "other": lambda: [torch.tensor([0.0, 1e-3])]}
    with pytest.raises(Refusal, match=r"other differs from qtha.cpu by 1.0e-03: a case"):
        device._check(calls, "a case")
