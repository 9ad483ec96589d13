"""The only writer of files: no link below a folder is followed, and what is written is synced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.refusals import refused

from qtha_lab.core import io
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import folders
from qtha_lab.lessons.copying import copy_notebooks

LEVELS = ("one", "one/two", "one/two/three")


def stage(path, below):
    with io.staged(path, below) as new:
        new.write_text("new")


OPERATIONS = {
    "write_atomically": lambda path, below: io.write_atomically(path, "new", below),
    "write_json": lambda path, below: io.write_json(path, {"a": 1}, below),
    "make_folder": io.make_folder,
    "remove": io.remove,
    "move": lambda path, below: io.move(path, path.with_name("moved"), below),
    "staged": stage,
    "copy": lambda path, below: io.copy(below / "source", path, below),
    "copy out": lambda path, below: io.copy(path, below / "copy", inside=below),
    "check_writable": lambda path, below: io.check_writable(path.parent, below),
}


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def tree(tmp_path, monkeypatch, request):
    """A folder `run` with three levels, and a folder `victim` of the same form beside it."""
    monkeypatch.setattr(folders, "HAS_DESCRIPTORS", request.param and folders.HAS_DESCRIPTORS)
    for name in ("run", "victim"):
        (tmp_path / name / LEVELS[-1]).mkdir(parents=True)
        for level in LEVELS:
            (tmp_path / name / level / "file").write_text(name)
    (tmp_path / "run" / "source").write_text("source")
    return tmp_path / "run"


def content(folder):
    return {
        path.relative_to(folder): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_link_at_any_level_below_a_folder_is_refused(tree, operation, level):
    link, victim = tree / level, tree.with_name("victim") / level
    link.rename(tree / "aside")
    link.symlink_to(victim, target_is_directory=True)
    before = content(tree.with_name("victim"))
    with pytest.raises(Refusal) as record:
        OPERATIONS[operation](tree / LEVELS[-1] / "file", tree)
    assert str(link) in str(record.value)
    assert len(str(record.value)) <= 300
    assert content(tree.with_name("victim")) == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_a_link_every_operation_works_and_leaves_no_other_file(tree, operation):
    place = tree / LEVELS[-1] / "file"
    if operation == "make_folder":
        place.unlink()
    OPERATIONS[operation](place, tree)
    names = {path.name for path in tree.rglob("*")}
    assert names <= {"one", "two", "three", "file", "moved", "source", "copy"}


def test_a_folder_that_the_user_chose_may_be_a_link(tree):
    chosen = tree.with_name("chosen")
    chosen.symlink_to(tree, target_is_directory=True)
    io.write_atomically(chosen / "one" / "new", "new", chosen)
    assert (tree / "one" / "new").read_text() == "new"


def test_a_link_in_the_place_of_a_file_is_replaced(tree):
    victim = tree.with_name("victim") / "one" / "file"
    (tree / "file").symlink_to(victim)
    io.write_atomically(tree / "file", "new", tree)
    assert not (tree / "file").is_symlink()
    assert victim.read_text() == "victim"


def test_a_block_that_raises_leaves_the_earlier_file(tree):
    def write_half():
        with io.replacing(tree / "source") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert content(tree)[(tree / "source").relative_to(tree)] == "source"
    assert not list(tree.glob(".*"))


def test_two_writes_use_two_names():
    assert len({folders.temporary_name("a") for _ in range(100)}) == 100
    assert folders.UNFINISHED.fullmatch(folders.temporary_name("summary.json"))
    assert len(folders.temporary_name("é" * 255).encode()) < 255


def test_remains_of_a_killed_writer_are_deleted_and_nothing_else(tmp_path):
    (tmp_path / folders.temporary_name("summary.json")).write_text("half")
    (tmp_path / folders.temporary_name("adapter")).mkdir()
    kept = [tmp_path / name for name in (".summary.json.new", "a.0123abcd.new", ".hidden")]
    for path in kept:
        path.write_text("a user's")
    io.remove_unfinished(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


RECORDED = """
import os, stat
from pathlib import Path
from qtha_lab.core import io
calls, sync = [], os.fsync

def fsync(fd):
    calls.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
    sync(fd)

def moving(move):
    def moved(*places, **folders):
        calls.append("rename")
        move(*places, **folders)
    return moved

os.fsync, os.replace, os.rename = fsync, moving(os.replace), moving(os.rename)
place = Path("place")
{}
print(*calls)
"""
SYNCED = {
    'io.write_json(place, {"a": 1})': "file rename folder",
    'io.copy(Path("source"), place)': "file rename folder",
    'io.move(Path("source"), place)': "rename folder folder",
    "io.make_folder(place)": "folder",
    'with io.staged(place) as new: new.write_text("a")': "file rename folder",
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows syncs no folder")
@pytest.mark.parametrize("code", SYNCED)
def test_the_folder_is_synced_after_the_rename_and_the_content_before(tmp_path, code):
    (tmp_path / "source").write_text("a")
    words = [sys.executable, "-c", RECORDED.format(code)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SYNCED[code]


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "folder"])
def test_a_log_is_appended_to_a_regular_file_alone(tmp_path, kind):
    victim, place = tmp_path / "victim", tmp_path / "log"
    if kind == "link":
        victim.write_text("mine")
    plant = {"fifo": lambda: os.mkfifo(place), "folder": place.mkdir}
    plant.get(kind, lambda: place.symlink_to(victim))()
    with refused("log", "a link, a folder or a device"):
        io.append_shared(place)
    assert not victim.exists() or victim.read_text() == "mine"


@pytest.mark.parametrize("folder", [".", "..", os.sep, "./"])
def test_a_folder_without_a_name_exists_already(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    io.make_folder(Path(folder))
    with pytest.raises(FileExistsError):
        io.make_folder(Path(folder), exist_ok=False)


def test_notebooks_are_copied_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert copy_notebooks(Path()).new == tuple(sorted(os.listdir()))
