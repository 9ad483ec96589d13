"""Recorded comparisons: extracts equal the pages, in size and in numbers."""

import re
from pathlib import Path

import pytest
from support.refusals import refused

from qtha_lab.core.io import digest
from qtha_lab.lessons.recordings import FOLDER, STATISTICS, recorded, recording_names

ROOT = Path(__file__).parents[2]
MOST_BYTES = 4_000_000
EARLIER = ("tiny-chat", "tiny-qa")  # of packs in the history, see data/extract_recordings.py
each = pytest.mark.parametrize("name", recording_names())


def page(name):
    """Rows of a page's first table: trained parameters, rate and test loss by short label."""
    rows = {}
    for line in (ROOT / "docs" / "results" / f"{name}.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) > 4 and cells[0].startswith("`"):
            count = int(cells[1].split(" ")[0].replace(",", ""))
            rows[cells[0].strip("`")] = (count, cells[2], cells[3])
        elif rows:
            break
    return rows


@each
def test_the_table_of_the_page_follows_from_the_recording(name):
    runs = recorded(name)
    expected = sorted(page(name).values())
    regenerated = sorted(
        (
            runs.of(method)[0].trainable_parameters,
            f"{runs.best_rate(method):g}",
            f"{runs.row_losses(method).mean():.3f}",
        )
        for method in runs.methods
    )
    assert regenerated == expected


@each
def test_rows_of_a_run_average_to_its_test_loss(name):
    for run in recorded(name).runs:
        assert run.rows.mean() == pytest.approx(run.test_loss, rel=2e-5)


@each
def test_the_recording_was_made_from_the_packed_runs(name):
    runs = recorded(name)
    if name not in EARLIER:
        assert runs.fingerprint == digest(ROOT / "data" / "results" / name / "runs.tar.xz")
    assert re.fullmatch("[0-9a-f]{40}", runs.commit)


def test_an_interval_of_the_page_follows_from_the_recorded_rows():
    runs = recorded("smollm2-qa")
    qtha, lora = "qtha(r=4,waist=32,bond_dim=3)", "lora(r=8)"
    found = runs.difference(qtha, lora, claims=4)
    text = (ROOT / "docs" / "results" / "smollm2-qa.md").read_text()
    assert f"| {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] |" in text


def test_bottlenecks_are_recorded_at_the_start_and_at_the_end_of_runs_with_a_circuit():
    runs = recorded("smollm2-qa")
    tables = runs.of("qtha(r=4,waist=32,bond_dim=3)", 0.003)[0].bottlenecks
    assert sorted(tables) == [0, 60]
    assert tables[60].shape == (60, len(STATISTICS)) == (len(runs.layers), 4)
    assert (tables[60][:, STATISTICS.index("angle_std")] > 0).all()
    assert runs.of("lora(r=8)")[0].bottlenecks == {}


def test_all_recordings_fit_in_the_wheel():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES


def test_an_unknown_recording_method_or_rate_is_refused_with_the_known_ones():
    with refused("recording", "'smollm-qa'", remedy="'smollm2-qa'"):
        recorded("smollm-qa")
    runs = recorded("smollm2-qa")
    with refused("method", "'lora'"):
        runs.of("lora")
    with refused("learning_rate", "7"):
        runs.of("lora(r=8)", 7)


def test_a_curve_begins_at_the_base_model_and_ends_at_the_evaluation_loss():
    for run in recorded("tiny-qa").runs[:20]:
        assert run.curve[-1] == pytest.approx(run.eval_loss, rel=1e-6)
        assert len(run.curve) == len(run.steps)
    first, second = (
        recorded("tiny-qa").of(method) for method in ("lora(r=8)", "lora(r=4,lora_alpha=8)")
    )
    assert [run.curve[0] for run in first] == [run.curve[0] for run in second]


def test_the_chat_task_turns_from_a_shared_rate_to_each_methods_own():
    runs, qtha = recorded("tiny-chat"), "qtha(r=4,waist=16,bond_dim=3)"
    assert runs.difference(qtha, "lora(r=8)", 0.03).mean == pytest.approx(-0.12, abs=0.005)
    assert abs(runs.difference(qtha, "lora(r=8)").mean) < 0.002
