"""Engines beside each other: which are measured, how far, and that nothing is measured twice.

No time is asserted.
"""

import pytest
from support.refusals import refused

from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal
from qtha_lab.figures import engine_speeds
from qtha_lab.simulators import engine_costs, explain, speeds
from qtha_lab.simulators.registry import ENGINES, engine

CIRCUIT = build("qtha", n_qubits=2, n_layers=1)


@pytest.fixture
def calls(monkeypatch):
    """Every call of a circuit: the engine and its samples."""
    log, run = [], engine_costs.expval_z

    def count(circuit, inputs, params, engine):
        log.append((engine, len(inputs)))
        return run(circuit, inputs, params, engine)

    monkeypatch.setattr(engine_costs, "expval_z", count)
    engine_costs.forget()
    yield log
    engine_costs.forget()


def test_every_engine_that_runs_here_is_measured_up_to_the_batch_and_one_is_taken_by_auto():
    engine_costs.forget()  # sizes that another test measured
    measured, why = speeds(CIRCUIT, 10, seconds=600), explain(CIRCUIT, 10)
    assert {name: s.reason for name, s in measured.items()} == why.reasons
    timed = {
        name: tuple(samples for samples, _ in s.points) for name, s in measured.items() if s.points
    }
    assert set(timed.values()) == {(1, 4, 10)}
    assert {"cpu", "torch", "lightning"} <= set(timed)
    assert why.engine in timed
    assert all(s.microseconds > 0 for s in measured.values() if s.points)


def test_an_engine_without_time_is_measured_at_one_sample_and_never_twice(calls):
    measured = speeds(CIRCUIT, 512, seconds=0)
    timed = [name for name, s in measured.items() if s.points]
    assert calls == [(name, 1) for name in timed for _ in ("to load it", "to time it")]
    assert speeds(CIRCUIT, 512, seconds=0) == measured
    assert len(calls) == 2 * len(timed)
    engine_costs.forget()
    speeds(CIRCUIT, 512, seconds=0)
    assert len(calls) == 4 * len(timed)


@pytest.fixture
def reluctant():
    """An engine that takes no circuit."""

    @engine("reluctant", strength="none")
    class Reluctant:
        def check(self, circuit, readout, name):
            raise Refusal(
                f"engine 'reluctant' takes no circuit, not even of {circuit.n_qubits} qubits"
            )

    yield
    ENGINES.forget(__name__)


def test_an_engine_that_refuses_the_circuit_has_its_sentence_and_no_line(reluctant):
    record = speeds(CIRCUIT, 1, seconds=0)["reluctant"]
    assert (record.points, record.microseconds) == ((), None)
    assert record.reason == "passed over: engine 'reluctant' takes no circuit, not even of 2 qubits"


def test_a_batch_of_nothing_is_refused():
    with refused("batch", "0"):
        speeds(CIRCUIT, 0)


def test_the_figure_says_where_each_line_ends_and_which_auto_takes():
    figure = engine_speeds({"cpu": [(8, 2.0), (1, 9.0)], "torch": []}, auto="cpu")
    assert figure.alt == "Microseconds per sample of a circuit: cpu (auto) 2 at 8 samples."
    assert figure.table.rows == (("cpu", 1, 9.0), ("cpu", 8, 2.0))
    assert engine_speeds({}).plotly.data == ()
