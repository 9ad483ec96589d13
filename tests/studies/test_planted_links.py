"""Links in a received folder: whatever is done there, the file or folder they lead to stays."""

import os

import pytest
from support.planted_links import (
    ON_FILES,
    ON_FOLDERS,
    SECRET,
    attempt,
    begin,
    home_of,
    plant,
    state_of,
    with_adapter,
)
from support.refusals import refused
from support.run_folders import finish, run_folder

from qtha_lab import Comparison, Sweep
from qtha_lab.core.io import write_json
from qtha_lab.core.paths import notebooks_dir
from qtha_lab.experiment import Federation
from qtha_lab.experiment.run_directory import annotations, queue
from qtha_lab.experiment.run_directory.index import list_records
from qtha_lab.lessons.copying import copy_notebooks
from qtha_lab.lessons.kit.assignment import write_assignments
from qtha_lab.lessons.kit.classroom import share_progress, write_classroom
from qtha_lab.lessons.kit.lesson_page import lesson_page
from qtha_lab.runs.export import export_run
from qtha_lab.studies.comparison import ComparisonStudy, run_comparison
from qtha_lab.studies.federated import federate
from qtha_lab.studies.sweep import SweepStudy
from qtha_lab.studies.sweep.optuna_study import open_journal


@pytest.fixture
def received(tmp_path):
    """A finished run in a folder of runs, as another person might send it."""
    return finish(run_folder(tmp_path / "runs", steps=1))


@pytest.fixture
def victim(tmp_path):
    """A file and a folder of the user, outside everything received."""
    return home_of(tmp_path / "home")


# ---- files


@pytest.mark.parametrize("target", ["file", "missing"])
@pytest.mark.parametrize("name", ON_FILES)
def test_no_operation_on_a_run_writes_through_a_link_to_a_file(received, victim, name, target):
    link = received.path / name
    before = plant(link, victim, target)
    attempt(lambda: ON_FILES[name](received), link)
    assert state_of(victim) == before


@pytest.mark.parametrize("target", ["file", "missing"])
def test_no_page_or_progress_of_a_class_is_written_through_a_link(
    tmp_path, victim, monkeypatch, target
):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "my"))
    (tmp_path / "my").mkdir()
    write_json(tmp_path / "my" / "progress.json", {"exercises": {}})
    shared = tmp_path / "class"
    shared.mkdir()
    names = ["classroom.html", "ann.progress.json", ".classroom.html.new", ".ann.progress.json.new"]
    for name in names:
        before = plant(shared / name, victim, target)
    share_progress(shared, "ann")
    write_classroom(shared)
    assert state_of(victim) == before


@pytest.mark.parametrize("target", ["file", "missing"])
def test_no_notebook_is_copied_through_a_link(tmp_path, victim, target):
    before = plant(tmp_path / "notebooks" / "00_tour.ipynb", victim, target)
    assert copy_notebooks(tmp_path / "notebooks").changed == ("00_tour.ipynb",)
    assert state_of(victim) == before


@pytest.mark.parametrize("level", ["release", "release/01_lora"])
def test_no_assignment_is_written_into_a_linked_folder(tmp_path, victim, level):
    page = lesson_page(next(notebooks_dir().glob("01*.ipynb")))
    link = tmp_path / "course" / level.replace("01_lora", page.path.stem)
    before = plant(link, victim, "own")
    assert attempt(lambda: write_assignments([page], tmp_path / "course", False), link)
    assert state_of(victim) == before


# ---- folders


@pytest.mark.parametrize("target", ["own", "missing"])
@pytest.mark.parametrize("name", ON_FOLDERS)
def test_no_operation_on_a_run_writes_into_a_linked_folder(received, victim, name, target):
    link = received.path / name
    before = plant(link, victim, target)
    for operation in ON_FOLDERS[name]:
        assert attempt(lambda work=operation: work(received), link)
        assert state_of(victim) == before


def test_a_trash_that_is_a_link_is_not_emptied(received, victim):
    finish(run_folder(victim / "own", steps=1))
    before = plant(received.path.parent / ".trash", victim, "own")
    assert attempt(
        lambda: annotations.empty_trash(received.path.parent), received.path.parent / ".trash"
    )
    assert state_of(victim) == before


@pytest.mark.parametrize("target", ["own", "missing"])
@pytest.mark.parametrize("name", [".slots", ".slots/queue"])
def test_runs_do_not_queue_in_a_linked_folder(tmp_path, victim, monkeypatch, name, target):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "cache"))
    before = plant(tmp_path / "runs" / name, victim, target)
    place = queue.shared_folder(tmp_path / "runs", tmp_path / "runs")
    assert place == tmp_path / "cache" / "slots"
    assert state_of(victim) == before


def test_an_export_replaces_a_link_and_leaves_the_file_behind_it(received, victim):
    place = received.path / "exports" / f"{received.id}-yaml.yaml"
    before = plant(place, victim, "file")
    assert export_run(received, "yaml").path == place
    assert state_of(victim) == before


@pytest.mark.parametrize("name", ["runs", "tuning", "rounding", "tuning/one"])
def test_no_comparison_goes_on_in_a_linked_folder(tmp_path, victim, name):
    described = Comparison(methods="lora(r=2)", training={"steps": 1, "train_rows": 4})
    folder = ComparisonStudy.create(described, tmp_path / "all")
    before = plant(folder.path / name, victim, "own")
    for work in (
        folder.launch,
        lambda: run_comparison(described, folder.path),
    ):
        assert attempt(work, folder.path / name)
        assert state_of(victim) == before


def test_no_sweep_writes_its_journal_through_a_link(tmp_path, victim):
    sweep = Sweep(methods="lora(r=2)", axes={"learning_rate": [0.01]}, training={"steps": 1})
    folder = SweepStudy.create(sweep, tmp_path / "sweep")
    before = plant(folder.journal, victim, "missing")
    assert attempt(lambda: open_journal(folder.journal), folder.journal)
    assert state_of(victim) == before


@pytest.mark.parametrize("name", ["runs", "runs/RUN/clients", "runs/RUN/clients/1"])
def test_no_federation_goes_on_in_a_linked_folder(tmp_path, victim, name):
    federation = Federation(methods="lora(r=2)", clients=2, rounds=1, training={"steps": 1})
    before = plant(tmp_path / "out" / name, victim, "own")
    assert attempt(lambda: federate(federation, tmp_path / "out"), tmp_path / "out" / name)
    assert state_of(victim) == before


# ---- copies out of a run


@pytest.mark.parametrize("kind", ["adapter", "card"])
@pytest.mark.parametrize("level", ["adapter/README.md", "adapter"])
def test_an_export_copies_nothing_from_behind_a_link(received, victim, tmp_path, kind, level):
    with_adapter(received)
    for name in ("adapter_config.json", "README.md"):
        (victim / "own" / name).write_bytes(SECRET)
    link = received.path / level
    plant(link, victim, "own" if level == "adapter" else "file")
    assert attempt(lambda: export_run(received, kind, tmp_path / "out"), link)
    assert not (tmp_path / "out").exists()


# ---- what a kill leaves


def test_the_next_session_deletes_what_a_killed_writer_left(tmp_path):
    run = run_folder(tmp_path / "runs", steps=1)
    left = [run.path / ".summary.json.0123abcd.new", run.files.checkpoints / ".a.0123abcd.new"]
    for path in left:
        path.write_text("half")
    begin(run)
    assert not any(map(os.path.lexists, left))


def test_the_index_holds_nothing_of_a_file_behind_a_linked_description(received, victim):
    plant(received.path / "experiment.yaml", victim, "file")
    plant(received.path.parent / ".index.jsonl", victim, "file")
    ON_FILES["../.index.jsonl"](received)
    ((_, record),) = list_records(received.path.parent)
    assert "experiment.yaml cannot be read" in record.unreadable
    for file in received.path.parent.rglob("*"):
        assert file.is_dir() or file.is_symlink() or SECRET not in file.read_bytes()


@pytest.mark.parametrize("kind", [ComparisonStudy, SweepStudy])
def test_a_linked_description_of_a_study_is_refused(tmp_path, victim, kind):
    study = kind(tmp_path / "received")
    study.path.mkdir()
    plant(study.description, victim, "file")
    with refused(rule="cannot be read"):
        _ = study.described
