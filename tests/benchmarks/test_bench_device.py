"""The bench of the PennyLane device compares results before it times them."""

import pytest
import torch
from support.refusals import refused

from benchmarks import device
from benchmarks.device import bench_device, tables


@pytest.mark.slow
def test_a_row_per_case_holds_the_time_that_the_device_adds():
    figures = bench_device(qubits=(2,), samples=(1, 65), layers=1, rounds=1)
    ((_, rows),) = tables(figures)
    assert [row[:2] for row in rows[1:]] == [(f"2, {n}", k) for n in (1, 65) for k in device.KINDS]
    assert [row[-1] == "–" for row in rows[1:]] == [False, False, True, True]
    for case in figures["cases"]:
        ours, engine = (case["devices"][n]["seconds"] for n in (device.OURS, device.ENGINE))
        assert case["added_seconds"] == pytest.approx(ours - engine)


def test_results_that_differ_are_refused_before_any_timing():
    calls = {device.ENGINE: lambda: [torch.zeros(2)], device.OURS: lambda: [torch.ones(2)]}
    with refused("qtha.cpu", "a difference of 1.0e+00"):
        device._check(calls)
