"""Frequency of a comparison's summary while runs train.

As often as that is cheap, and always at the end.
"""

from typing import Any

import pytest

from qtha_lab.studies.comparison import run_comparison


class Clock:
    """Time that passes only where something is said to take some."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Ending:
    """Work of which a run ends at every look."""

    def __init__(self, runs):
        self.left = runs

    def go_on(self, on_progress):
        self.left -= 1
        return True

    @property
    def is_done(self):
        return not self.left


@pytest.mark.parametrize(("cost", "most"), [(0.0, 400), (0.01, 400), (8.0, 2)])
def test_a_dear_summary_is_written_seldom_and_at_the_end(monkeypatch, tmp_path, cost, most):
    clock, written = Clock(), []

    def write(work, out):
        clock.now += cost
        written.append(work.left)
        return {"left": work.left}

    monkeypatch.setattr(run_comparison, "time", clock)
    monkeypatch.setattr(run_comparison, "_write_summary", write)
    work: Any = Ending(400)
    assert run_comparison._follow(work, tmp_path, run_comparison._nothing) == {"left": 0}
    assert written[0] == 399  # the first at once, so that a page has something to show
    assert written[-1] == 0
    assert len(written) <= most + 1
    if not cost:
        assert len(written) == 400
