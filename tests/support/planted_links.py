"""Links and code planted in received folders."""

from importlib.abc import MetaPathFinder

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import write_json
from qtha_lab.experiment.run_directory import annotations, index
from qtha_lab.experiment.run_directory.annotations import annotate
from qtha_lab.experiment.run_directory.disk import Spare
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.exit_status import record_exit
from qtha_lab.runs.export import export_run
from qtha_lab.runs.process_start import taken_over
from qtha_lab.training.resume import find_start
from support.run_folders import status, write

SECRET = b"the user's own"


def home_of(folder):
    """Make a file and a folder of the user, outside everything received."""
    (folder / "own").mkdir(parents=True)
    (folder / "file").write_bytes(SECRET)
    (folder / "own" / "file").write_bytes(SECRET)
    return folder


def state_of(folder):
    """Names, contents and change times of everything in a folder."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return [
        (str(path), path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in paths
    ]


def plant(place, victim, target):
    """Put a link in a place, which may be taken; return the state of the victim."""
    if place.is_dir():
        place.rename(place.with_name(f"{place.name}-before"))
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim / target)
    return state_of(victim)


def attempt(operation, link):
    """Run an operation, which works or is refused in one sentence that names the link."""
    sentence = ""
    try:
        operation()
    except Refusal as refused:
        sentence = str(refused)
    assert not sentence or link.name in sentence
    assert len(sentence) <= 300
    return bool(sentence)


def resume(run):
    with taken_over(run.files, "starting"):
        pass


def begin(run):
    events = EventLog(run.files.events)
    try:
        find_start(run.files, events)
    finally:
        events.close()


ON_FILES = {
    ".spare": lambda run: Spare(run.path).free(),
    ".exit.json.new": lambda run: record_exit(run.files, 1, 1),
    ".environment.json.new": lambda run: write_json(run.files.environment, {}),
    ".summary.json.new": lambda run: write_json(run.files.summary, {}),
    ".test.json.new": lambda run: write_json(run.files.test, {}),
    "exit.json": lambda run: record_exit(run.files, 1, 1),
    "summary.json": lambda run: write_json(run.files.summary, {}),
    "stop": lambda run: run.files.request_stop(),
    "events.jsonl": lambda run: write(run, status("running", 0)),
    "annotations.jsonl": lambda run: annotate(run.files, note="mine"),
    "worker.log": resume,
    "worker.lock": resume,
    "../.index.jsonl.new": lambda run: rewrite_index(run.path.parent),
    "../.index.jsonl": lambda run: rewrite_index(run.path.parent),
}


def rewrite_index(folder):
    """List runs when the index has far more lines than there are runs, so that it is rewritten."""
    cache = index.Index(folder)
    cache.count = 1000
    records = {path.name: record for path, record in index.list_records(folder)}
    cache.add(records, list(records))


ON_FOLDERS = {
    "checkpoints": (resume, begin),
    "adapter": (resume, begin),
    "best": (resume, begin),
    "tensorboard": (resume, begin),
    "exports": (lambda run: export_run(run, "yaml"), lambda run: export_run(run, "python")),
    "../.trash": (
        lambda run: annotations.delete(run.files),
        lambda run: annotations.restore("file", run.path.parent),
        lambda run: annotations.empty_trash(run.path.parent),
    ),
}


def with_adapter(run):
    """Give a run the files of an adapter, whose contents no export reads."""
    run.files.adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "README.md"):
        (run.files.adapter / name).write_text("{}")


NAME = "received"


class Hook(MetaPathFinder):
    """First import finder, which lists the imports below a received folder."""

    def __init__(self):
        self.imports = []

    def find_spec(self, fullname, path=None, target=None):
        if fullname.startswith(("runs.", f"{NAME}.")):
            self.imports.append(fullname)


def poison(folder, marks):
    """Fill a folder with modules that leave a mark: packages, and one beside its description."""
    (folder / "poison").mkdir()
    for name in ("__init__.py", "poison/__init__.py", "poison/inner.py", "bare.py"):
        mark = str(marks / name.replace("/", "-"))
        (folder / name).write_text(f"open({mark!r}, 'w').close()\n")
