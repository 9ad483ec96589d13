"""Pages say what was measured, at which commit and under which load; the table of aims keeps what was not measured anew."""

import json
import subprocess

import pytest

from benchmarks import aims, machine, results

FIGURES = {
    "commit": "0123456789abcdef+",
    "machine": {"processor": "a processor", "cores": 4, "load_before": 2.5},
    "first": [{"wall": 9.0, "cpu": 8.0}],
    "libraries": [{"wall": 4.2, "cpu": 4.0}],
    "again": [{"wall": 0.5, "cpu": 0.4}, {"wall": 0.7, "cpu": 0.6}, {"wall": 0.6, "cpu": 0.5}],
}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The bench of methods, as it was run on 1 December."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "OUT", tmp_path / "out")
    monkeypatch.setattr(results, "PAGES", tmp_path / "pages")
    folder = tmp_path / "out" / "methods"
    folder.mkdir(parents=True)
    facts = {
        "commit": "fedcba9", "date": "2026-12-01", "processor": "a processor", "load_at_start": 0.2,
    }  # fmt: skip
    (folder / "measured.json").write_text(json.dumps(facts))
    (folder / "figures.json").write_text(json.dumps(FIGURES))
    return tmp_path / "pages"


def test_a_page_says_the_options_the_day_the_commit_and_the_load_before(measured):
    results.write("methods")
    first, second, *_ = (measured / "methods.md").read_text(encoding="utf-8").splitlines()
    assert first.startswith("`qtha-lab bench methods --json ")
    assert (
        second == "2026-12-01, commit 0123456+, a processor, load before 2.5: the machine was busy"
    )


def test_the_table_of_aims_says_when_and_keeps_what_is_not_measured_anew(measured):
    measured.mkdir()
    (measured / "aims.md").write_text(
        "| 1,000 runs listed | ≤ 0.5 s | 0.07 CPU s | 11-27 | `list-1000` |\n"
    )
    results.write_aims()
    rows = (measured / "aims.md").read_text(encoding="utf-8").splitlines()
    new = [row for row in rows if row.startswith("| `qtha-lab methods`")]
    assert new == [
        "| `qtha-lab methods` with an empty cache / after that | ≤ 1.5 s | 8.0 / 0.5 CPU s; 4.0 to import torch, transformers and "
        "PEFT | "
        "12-01, 0123456+, load before 2.5: the machine was busy | `methods` |"
    ]
    assert "| 1,000 runs listed | ≤ 0.5 s | 0.07 CPU s | 11-27 | `list-1000` |" in rows
    assert sum("not measured" in row for row in rows) == len(aims.AIMS) - 2


def test_every_aim_names_a_bench_and_every_bench_has_a_page():
    assert {aim.bench for aim in aims.AIMS} <= results.BENCHES.keys()
    assert all(callable(page) for _, page in results.BENCHES.values())


def test_a_changed_checkout_is_marked_but_for_its_documents(tmp_path, monkeypatch):
    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True)

    monkeypatch.setattr(machine.paths, "CHECKOUT", tmp_path)
    git("init")
    (tmp_path / "docs").mkdir()
    for file in ("code.py", "docs/page.md"):
        (tmp_path / file).write_text("first")
    git("add", "."), git("commit", "-m", "first")
    at = machine.commit()
    assert len(at) == 40
    (tmp_path / "docs" / "page.md").write_text("a table")
    assert machine.commit() == at
    (tmp_path / "code.py").write_text("second")
    assert machine.commit() == f"{at}+"
    assert machine.short(machine.commit()) == f"{at[:7]}+"
