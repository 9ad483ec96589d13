"""The soak of the panels: journal, summary, and a short soak in a real browser."""

import pytest

from benchmarks.soak import Journal, bench_soak, summary, tables


def test_a_journal_adds_the_minutes_of_earlier_sessions_and_skips_an_incomplete_line(
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


def test_a_summary_counts_each_complaint_and_states_the_growth_of_page_and_kernel(tmp_path):
    journal = Journal(tmp_path)
    for seconds, size in ((10, 5e8), (400, 6e8), (900, 7e8)):
        journal.began -= seconds
        sizes = {"Nodes": 1000, "JSEventListeners": 2000, "JSHeapUsedSize": 5e7}
        journal.write("memory", kernel=size, **sizes)
    assert tables(summary(journal))[0][1][1:] == [("none", "0")]
    for _ in range(2):
        journal.write("complaint", of="page", text="Cannot send", after=["reload"])
    journal.write("refusal", of="panel", text="r must be at least 1, got 0")
    measured = summary(journal)
    ((caption, rows),) = tables(measured)
    assert rows[1:] == [("page: Cannot send", "2")]
    assert measured["refusals"] == ["r must be at least 1, got 0"]
    assert "kernel MB 600 → 700" in caption  # from the first sample after five minutes


@pytest.mark.browser
@pytest.mark.slow
def test_a_minute_of_use_is_without_a_complaint(tmp_path):
    measured = bench_soak(tmp_path, minutes=1, seed=3)
    assert measured["minutes"] >= 1
    assert sum(measured["deeds"].values()) > 0
    assert measured["complaints"] == {}
