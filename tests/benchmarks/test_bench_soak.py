"""The soak of the panels.

What its journal keeps over sessions, what its report says, and a short one in a real browser.
"""

import pytest

from benchmarks.soak import Journal, caption, report, soak, table


def test_a_journal_goes_on_with_the_minutes_of_the_sessions_before_and_passes_over_a_torn_line(
    tmp_path,
):
    first = Journal(tmp_path)
    first.began -= 90
    first.write("action", deed="slide", of="angle")
    with first.path.open("a") as file:
        file.write('{"session": 0, "seconds": 99')  # the process was killed here
    second = Journal(tmp_path)
    assert second.session == 1
    assert second.seconds == pytest.approx(90, abs=1)
    second.began -= 30
    second.write("action", deed="press", of="Views")
    assert second.seconds == pytest.approx(120, abs=1)
    assert [entry["session"] for entry in Journal(tmp_path).entries] == [0, 1]


def test_a_report_counts_each_complaint_and_says_how_page_and_kernel_grew(tmp_path):
    journal = Journal(tmp_path)
    for seconds, size in ((10, 5e8), (400, 6e8), (900, 7e8)):
        journal.began -= seconds
        sizes = {"Nodes": 1000, "JSEventListeners": 2000, "JSHeapUsedSize": 5e7}
        journal.write("memory", kernel=size, **sizes)
    assert table(report(journal))[1:] == [("none", "0")]
    for _ in range(2):
        journal.write("complaint", of="page", text="Cannot send", after=["reload"])
    journal.write("refusal", of="panel", text="r must be at least 1, got 0")
    measured = report(journal)
    assert table(measured)[1:] == [("page: Cannot send", "2")]
    assert measured["refusals"] == ["r must be at least 1, got 0"]
    assert "kernel MB 600 → 700" in caption(measured)  # from what had settled after five minutes


@pytest.mark.browser
@pytest.mark.slow
def test_a_minute_of_use_is_without_a_complaint(tmp_path):
    measured = soak(tmp_path, minutes=1, seed=3)
    assert measured["minutes"] >= 1
    assert sum(measured["deeds"].values()) > 0
    assert measured["complaints"] == {}
