"""Read received folders that name their own code, and write where somebody planted links."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ..outcome import command
from .registry import PLACE, move, put, reader

# links below runs, studies, classes, exports, trash and slots

PLACES = (  # relative to a run in a folder of runs
    *("checkpoints", "exports", "adapter", "best", "tensorboard", "clients", "rounds"),
    *(".spare", "exit.json", "environment.json", "summary.json", "test.json", "plugins.json"),
    *("events.jsonl", "annotations.jsonl", "worker.log", "worker.lock", "stop", "experiment.yaml"),
    *("../.index.jsonl", "../.trash", "../.slots", "../.slots/queue", "../classroom.html"),
    *("exports/RUN-yaml.yaml", "adapter/README.md", "checkpoints/checkpoint-1", "../runs"),
    *("../comparison.yaml", "../report.html", "../tuning", "../journal.log", "../sweep.yaml"),
    *("../ann.progress.json", "../data.json", "../clients/1", "../notebooks/00_tour.ipynb"),
)
TARGETS = ("file", "own", "missing")


def _works() -> dict[str, Callable[[Any], Any]]:
    """Everything that writes in a folder of runs, a class or a study, by name."""
    from support.planted_links import ON_FILES, ON_FOLDERS

    from qtha_lab.experiment.run_directory import queue
    from qtha_lab.lessons.copying import copy_notebooks
    from qtha_lab.lessons.kit.classroom import share_progress, write_classroom
    from qtha_lab.runs.export import export_run

    several = [(f"{n} {i}", w) for n, ws in ON_FOLDERS.items() for i, w in enumerate(ws)]
    return {
        **ON_FILES,
        **dict(several),
        **{f"export {k}": lambda run, k=k: export_run(run, k) for k in ("adapter", "card", "yaml")},
        "slots": lambda run: queue.shared_folder(run.path.parent, run.path.parent),
        "share": lambda run: share_progress(run.path.parent, "ann"),
        "class": lambda run: write_classroom(run.path.parent),
        "notebooks": lambda run: copy_notebooks(run.path.parent / "notebooks"),
        "comparison": lambda run: _compare(run.path.parent),
        "sweep": lambda run: _sweep(run.path.parent),
        "delete": lambda run: command("runs", "delete", run.id),
    }


def _compare(folder: Path) -> None:
    from qtha_lab import Comparison
    from qtha_lab.studies.comparison import ComparisonStudy

    study = ComparisonStudy(folder)
    study.write(Comparison(methods="lora(r=2)", training={"steps": 1}))
    study.request_stop()


def _sweep(folder: Path) -> None:
    from qtha_lab.studies.sweep.optuna_study import open_journal

    open_journal(folder / "journal.log")


def _plans() -> st.SearchStrategy[bytes]:
    link = st.tuples(st.sampled_from(PLACES), st.sampled_from(TARGETS))
    links = st.lists(link, min_size=1, max_size=3)
    works = st.lists(st.sampled_from(sorted(_works())), min_size=1, max_size=4)
    return st.tuples(links, works).map(lambda drawn: json.dumps(drawn).encode())


@reader([[["checkpoints", "own"]], ["checkpoints 0"]], grammar=_plans)
def planted_links(text: str) -> None:
    """Plant links, and do what writes there; nothing outside the folder changes."""
    from support import planted_links
    from support.run_folders import finish, run_folder

    from qtha_lab.core.errors import Refusal

    plan = _plan_of(text)
    shutil.rmtree("deep", ignore_errors=True)
    home = planted_links.home_of(Path("deep/home").absolute())
    run = finish(run_folder(Path("deep/runs").absolute(), steps=1))
    if any("adapter" in place for place, _ in plan[0]):
        planted_links.with_adapter(run)
    for place, target in plan[0]:
        _plant(run, place.replace("RUN", run.id), home, target)
    before, refusals = planted_links.state_of(home), []
    for name in plan[1]:
        try:
            _works()[name](run)
        except (Refusal, OSError) as refusal:
            refusals.append(refusal)
        if planted_links.state_of(home) != before:
            raise AssertionError(f"{name} writes through a link of {plan[0]}")
    for file in Path("deep/runs").rglob("*"):
        if file.is_file() and not file.is_symlink() and planted_links.SECRET in file.read_bytes():
            raise AssertionError(f"{file} holds what a link of {plan[0]} leads to")
    if refusals:
        raise max(refusals, key=lambda refusal: len(str(refusal)))


def _plant(run: Any, place: str, home: Path, target: str) -> None:
    from support.planted_links import plant

    if not any(level.is_symlink() for level in (run.path / place).parents):
        plant(run.path / place, home, target)


def _plan_of(text: str) -> tuple[list, list]:
    """Read a plan; one that is damaged plants and does what it still names."""
    named = lambda words: [word for word in words if f'"{word}"' in text]  # noqa: E731
    targets = named(TARGETS) or ["file"]
    return [[place, targets[-1]] for place in named(PLACES)], named(_works()) or ["exit.json"]


# folders that name their own code

MODULE = "runs.received.poison.inner"
PACKAGE = {"version": "1", "members": ["method slim"], "sha256": {MODULE: "0" * 64}}


@contextmanager
def _received() -> Iterator[Any]:
    """A received run on the path of Python; nothing in it is imported in the block."""
    from support.planted_links import Hook, poison
    from support.run_folders import run_folder

    shutil.rmtree("runs", ignore_errors=True)
    shutil.rmtree("marks", ignore_errors=True)
    marks = Path("marks").absolute()
    marks.mkdir()
    run = run_folder(Path("runs").absolute())
    run = type(run)(run.path.rename(run.path.with_name("received")))
    poison(run.path, marks)
    hook = Hook()
    sys.path.insert(0, str(Path.cwd()))
    sys.meta_path.insert(0, hook)
    try:
        yield run
    finally:
        sys.meta_path.remove(hook)
        sys.path.remove(str(Path.cwd()))
        if hook.imports or any(marks.iterdir()):
            raise AssertionError(f"code of a received folder runs: {hook.imports}")


@reader(
    {"pytest": PACKAGE, MODULE: "0" * 64},
    {"/tmp/bare.py": "0" * 64},
    {},
    file="plugins.json",
    share=0.5,
)
def recorded_plugins(file: Path) -> None:
    """Show, trust and check a run whose record of plugins is somebody else's."""
    from qtha_lab.experiment.run_directory.plugins import check_plugins

    with _received() as run:
        move(file, run.files.plugins)
        command("runs", "received")
        check_plugins(run.files)


@reader(
    [MODULE],
    ["received.bare", "bare.py"],
    ["..", "a..b", "\0"],
    words=f'{MODULE} received bare poison inner runs . .. .py / bare.py math os numpy [" ", "]',
    share=0.5,
)
def named_plugins(text: str) -> None:
    """Show and check a run that names the modules beside its description."""
    from qtha_lab import Experiment
    from qtha_lab.experiment.run_directory.plugins import load_run_plugins

    try:
        names = [name for name in json.loads(text) if isinstance(name, str)]
    except (ValueError, TypeError, RecursionError):
        names = [text]
    described = Experiment().replace(plugins=names)
    with _received() as run:
        run.files.experiment_file.write_text(described.to_yaml(), encoding="utf-8")
        command("runs", "received")
        load_run_plugins(run.files)
        assert not names, f"untrusted plugins are loaded: {names}"


KINDS = ("link", "fifo", "folder", "device", "loop")


@reader(*KINDS, "missing", share=0.1)
def trust_records(text: str) -> None:
    """Put something else in the place of a record of trust: it is no trust."""
    from qtha_lab.experiment.run_directory import trust

    folder, digests = Path("deep/their_run").absolute(), {"a.py": "0" * 64}
    kind = text if text in KINDS else "missing"
    place = trust._file(folder, digests)
    put(place, PLACE + kind.encode())
    try:
        assert not trust.is_trusted(folder, digests), f"a {kind} counts as trust"
        trust.check_trust(folder, digests)
    finally:
        put(place, PLACE + b"missing")
