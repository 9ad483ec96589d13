"""Frequency of a comparison's summary while runs train.

As often as that is cheap, and always at the end.
"""

import pytest

from qtha_lab import Comparison
from qtha_lab.studies.comparison import results_of_runs
from qtha_lab.studies.comparison.results_of_runs import Results


@pytest.mark.parametrize(("cost", "most"), [(0.0, 400), (0.01, 400), (8.0, 2)])
def test_a_dear_summary_is_written_seldom(monkeypatch, tmp_path, cost, most):
    """A run ends at every poll, which takes 0.3 s, and a summary takes `cost` seconds."""
    now, written = 0.0, []

    class Ending(Results):
        def update(self, work):
            self.outcomes[self.table[len(self.outcomes)].path] = {}
            return True

        def write(self):
            nonlocal now
            now += cost
            written.append(len(self.outcomes))

    class Place:
        def __init__(self, path):
            self.path = path

    monkeypatch.setattr(results_of_runs.time, "monotonic", lambda: now)
    results = Ending(tmp_path, Comparison(), (), 400, [Place(n) for n in range(400)])  # type: ignore[list-item]
    for _ in results.collect(None, results.table):  # type: ignore[arg-type]
        now += 0.3
    assert written[0] == 1  # the first at once, so that a page has something to show
    assert len(written) <= most
    if not cost:
        assert len(written) == 399
