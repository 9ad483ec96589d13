"""Forecasts from a measured step, against arithmetic by hand."""

import sys

import pytest

from qtha_lab.experiment.cost import extrapolation


def test_seven_billion_parameters_on_eight_devices():
    eight = extrapolation.step(7e9, 4_194_304, 32_768, devices=8, rate=4e14, link=5e10)
    # 4 operations · 7e9 weights · 32,768 tokens = 9.17504e14; an eighth of them, 1.14688e14, at
    # 4e14 per second
    assert eight.computing == pytest.approx(0.28672)
    # each sends 2 · 7/8 of 4 bytes · 4,194,304 numbers = 7 · 4,194,304 = 29,360,128 bytes, at 5e10
    # per second
    assert eight.exchanged == 29_360_128
    assert eight.exchange == pytest.approx(0.000587203, rel=1e-5)
    assert eight.seconds == pytest.approx(0.28672 + 0.000587203)
    # 2 bytes · 7e9 weights + 16 bytes · 4,194,304 numbers = 14,000,000,000 + 67,108,864
    assert eight.bytes_whole == 14_067_108_864
    assert eight.bytes_sharded == 1_758_388_608
    alone = extrapolation.step(7e9, 4_194_304, 32_768, devices=1, rate=4e14, link=5e10)
    assert (alone.exchanged, alone.bytes_sharded) == (0, alone.bytes_whole)
    assert alone.computing == pytest.approx(8 * eight.computing)


def test_a_thousand_runs():
    # 100 steps of 0.05 s and 10 s beside them are 15 s; 1,000 of 32 at once are 31.25, so 32 rounds
    course = {"steps": 100, "seconds": 0.05, "overhead": 10}
    assert extrapolation.runs_seconds(1000, **course, at_once=32) == pytest.approx(32 * 15)
    assert extrapolation.runs_seconds(1000, **course, at_once=1) == pytest.approx(1000 * 15)


def test_the_command_prints_both(monkeypatch, capsys):
    # 4 · 1e8 weights · 500 tokens in 2 s: 1e11 operations per second, so 7e9 · 32,768 · 4 take
    # 9,175 s
    words = ["--seconds", "2", "--parameters", "1e8", "--tokens", "500"]
    monkeypatch.setattr(sys, "argv", ["on_paper", *words])
    extrapolation.main()
    first, _, one, *_, runs = capsys.readouterr().out.splitlines()
    assert first.startswith("measured: 1e+11 FLOP/s")
    assert one.split()[:2] == ["1", "9175"]
    # 1,000 runs of 100 steps of 2 s with 10 s beside them: 210,000 s one by one, 32 · 210 s with 32
    # at once
    assert runs == "1000 runs of 100 steps: 1.87 h with 32 at once, 58.3 h one by one"
