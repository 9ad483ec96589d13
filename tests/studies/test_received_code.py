"""No reader of a received folder imports a module out of it, not even to look the module up.

The folder names its own modules in its description, or in the record of its plugins. It lies where
Python searches: below the folder of a kernel, below a checkout on the path, or on the path itself.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import py_compile
import subprocess
import sys

import pytest
from support.command_line import call
from support.planted_links import NAME, Hook, poison
from support.refusals import refused
from support.run_folders import finish, run_folder, status, write

from qtha_lab.core import paths, plugin_loading
from qtha_lab.core.errors import Refusal
from qtha_lab.core.plugin_loading import fingerprints, load_plugins
from qtha_lab.experiment import Comparison, Experiment, Federation, Sweep
from qtha_lab.experiment.run_directory import RunDir, trust
from qtha_lab.experiment.run_directory.plugins import load_run_plugins, record_trust
from qtha_lab.runs import export
from qtha_lab.runs.chat.models import ChatModels
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.comparison import ComparisonStudy, Report
from qtha_lab.studies.comparison.explain import explain
from qtha_lab.studies.federated import flower
from qtha_lab.studies.sweep import SweepStudy
from qtha_lab.training.evaluation_variants import evaluate_variants

PLACES = ("folder of a kernel", "checkout on the path", "runs folder on the path")


@pytest.fixture(params=PLACES)
def place(request):
    """The way in which Python finds the received folder."""
    return request.param


@pytest.fixture
def module(place, tmp_path, monkeypatch):
    """The name of a module in a received run, from where this process searches."""
    monkeypatch.setenv("QTHA_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    root = tmp_path / "project"
    monkeypatch.setenv("QTHA_LAB_RUNS", str(root / "runs"))
    (root / "runs").mkdir(parents=True)
    if place == "folder of a kernel":
        monkeypatch.chdir(root)
    of_path = {"folder of a kernel": "", "checkout on the path": str(root)}
    monkeypatch.syspath_prepend(of_path.get(place, str(root / "runs")))
    yield f"{'' if place.startswith('runs') else 'runs.'}{NAME}.poison.inner"
    for name in [name for name in sys.modules if name.split(".")[0] in ("runs", NAME)]:
        del sys.modules[name]


@pytest.fixture
def marks(tmp_path):
    """The folder in which poisoned code leaves a file."""
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


@pytest.fixture(name="poison")
def poisoned(marks):
    """Fill a folder with modules that leave a mark."""
    return lambda folder: poison(folder, marks)


@pytest.fixture
def hook(monkeypatch):
    hook = Hook()
    monkeypatch.setattr(sys, "meta_path", [hook, *sys.meta_path])
    return hook


@pytest.fixture
def run(source, module, poison):
    """A received run that names its own code, with two finished ones of the same comparison."""
    folder = RunDir.create(Experiment(), paths.runs_dir()).path
    run = Run(folder.rename(folder.with_name(NAME)))
    poison(run.path)
    names = {"module of the description": [module], "file": [str(run.path / "bare.py")]}
    plugins = names.get(source, [])
    package = {"version": importlib.metadata.version("pytest"), "sha256": {module: "0" * 64}}
    others = [run_folder(paths.runs_dir(), method) for method in ("lora(r=2)", "qtha(r=2)")]
    for each in (run, *others):
        described = each.experiment.replace(plugins=plugins)
        each.files.experiment_file.write_text(described.to_yaml())
        each.files.adapter.mkdir()
        (each.files.adapter / "adapter_config.json").write_text("{}")
        if not plugins:
            each.files.plugins.write_text(json.dumps({"pytest": package}))
    write(run, status("running", 0), status("stopped", 1))
    for loss, other in enumerate(others):
        finish(Run(other.path), test_loss=1.0 + loss, eval_loss=1.0 + loss)
    return Run(run.path)


def command(*words):
    """Call the command, which may refuse, but not fail."""
    done = call(*words)
    assert done.exception is None or isinstance(done.exception, Refusal | SystemExit), done.output


def workbench(_):
    from qtha_lab.widgets import Workbench

    Workbench().close()


def chat_panel(run):
    from qtha_lab.widgets.workbench.chat import experiments_of, prompts_of

    prompts_of(experiments_of([run.id]).values())


def explorer(run):
    from qtha_lab.widgets.workbench.explore import without_circuit

    without_circuit(run)


READERS = {
    "Workbench()": workbench,
    "chat panel": chat_panel,
    "explorer": explorer,
    "list_runs": lambda run: [(one.status(), one.summary) for one in list_runs()],
    "explain": lambda run: explain(list_runs()),
    "run.plot": lambda run: run.plot(),
    "run.resume": lambda run: run.resume(),
    "run.load": lambda run: run.load(),
    "run.generate": lambda run: run.generate("?"),
    "worker": lambda run: load_run_plugins(run.files),
    "chat": lambda run: ChatModels([run.id]),
    "evaluate": lambda run: list(evaluate_variants(run.files)),
    "teacher": lambda run: Experiment(training={"teacher": str(run.path)}).check(run.path.parent),
    **{
        f"export {kind}": lambda run, kind=kind: export.export_run(run, kind)
        for kind in export.KINDS
    },
    "qtha-lab resume": lambda run: command("resume", run.id),
    "qtha-lab trust": lambda run: command("trust", run.id),
    "qtha-lab runs": lambda run: command("runs", "list", "--columns", "all"),
    "qtha-lab runs show": lambda run: command("runs", "show", run.id),
    "qtha-lab chat": lambda run: command("chat", run.id, "--prompt", "?"),
    "qtha-lab evaluate": lambda run: command("evaluate", run.id),
    "qtha-lab explain": lambda run: command("explain", str(run.path.parent)),
    "qtha-lab plot": lambda run: command("plot", str(run.path.parent), "--list"),
}


CASES = [
    *(("module of the description", place) for place in PLACES),
    ("file", PLACES[1]),
    ("record of a package", PLACES[1]),
]


@pytest.mark.parametrize(("source", "place"), CASES)
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_of_a_received_run_imports_from_the_run(run, reader, hook, marks):
    with contextlib.suppress(Refusal):  # the run is unfinished, or its plugin is refused
        READERS[reader](run)
    assert list(marks.iterdir()) == []
    assert hook.imports == []


STUDIES = {
    "report": ("comparison", lambda folder: Report.of(folder)),
    "progress": ("comparison", lambda folder: ComparisonStudy(folder).sentence()),
    "resume a comparison": ("comparison", lambda folder: ComparisonStudy(folder).resume()),
    "qtha-lab report": ("comparison", lambda folder: command("report", str(folder))),
    "qtha-lab plot": ("comparison", lambda folder: command("plot", str(folder), "--list")),
    "trust a comparison": ("comparison", lambda folder: command("trust", str(folder))),
    "resume a sweep": ("sweep", lambda folder: SweepStudy(folder).resume()),
    "trials": ("sweep", lambda folder: SweepStudy(folder).records()),
    "qtha-lab sweep": ("sweep", lambda folder: command("sweep", str(folder))),
    "trust a sweep": ("sweep", lambda folder: command("trust", str(folder))),
    "trust a federation": ("federation", lambda folder: command("trust", str(folder))),
    "client on Flower": (
        "federation",
        lambda folder: flower._client_rounds_of(folder / "runs" / "server"),
    ),
}


@pytest.mark.parametrize("reader", STUDIES)
def test_no_reader_of_a_received_study_imports_from_it(reader, module, poison, hook, marks):
    kind, read = STUDIES[reader]
    fields = {"methods": [{"name": "lora"}], "plugins": [module], "seeds": [0]}
    axes = {"learning_rate": [0.01]}
    described = {
        "comparison": lambda: Comparison(**fields, tuning={"axes": axes}),
        "sweep": lambda: Sweep(**fields, axes=axes),
        "federation": lambda: Federation(**fields, clients=2, rounds=1, training={"steps": 2}),
    }
    folder = paths.runs_dir() / NAME
    folder.mkdir()
    poison(folder)
    (folder / f"{kind}.yaml").write_text(described[kind]().to_yaml())
    (folder / "summary.json").write_text('{"runs": [], "notes": []}')
    with contextlib.suppress(Refusal):
        read(folder)
    assert list(marks.iterdir()) == []
    assert hook.imports == []


@pytest.mark.parametrize("where", ["runs folder", "received folder", "package that is a run"])
def test_a_module_in_a_received_folder_is_refused_with_its_place(
    where, module, poison, marks, tmp_path, monkeypatch
):
    received = tmp_path / "elsewhere" / NAME
    folder = {"runs folder": paths.runs_dir() / NAME}.get(where, received)
    folder.mkdir(parents=True)
    poison(folder)
    name = module
    if where != "runs folder":
        monkeypatch.syspath_prepend(folder if where == "received folder" else folder.parent)
        name = "bare" if where == "received folder" else f"{NAME}.bare"
    if where == "package that is a run":
        (folder / "experiment.yaml").write_text(Experiment().to_yaml())
    for use in (fingerprints, lambda names, of: load_plugins(names, received=of)):
        with pytest.raises(Refusal) as record:
            use([name], received if where == "received folder" else None)
        assert "must be outside of runs folders" in str(record.value)
        assert repr(name) in str(record.value)
        assert len(str(record.value)) <= 300
    assert list(marks.iterdir()) == []


@pytest.fixture(params=["package", "namespace package"])
def package(request, tmp_path, monkeypatch):
    """A package with a plugin in it, on the path of this process."""
    monkeypatch.setenv("QTHA_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    folder = tmp_path / "site" / "parcel"
    (folder / "inner").mkdir(parents=True)
    if request.param == "package":
        (folder / "__init__.py").write_text("")
    (folder / "plugin.py").write_text("from parcel.inner import part\n")
    (folder / "inner" / "part.py").write_text("value = 1\n")
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "parcel"]:
        del sys.modules[name]


def test_every_code_file_of_a_package_counts_and_no_other_does(package):
    before = fingerprints(["parcel.plugin"])
    (package / "inner" / "notes.txt").write_text("new")
    (package / "inner" / "__pycache__").mkdir()
    (package / "inner" / "__pycache__" / "part.cpython-311.pyc").write_bytes(b"new")
    (package / ".#part.py").symlink_to("nowhere")  # the lock of an editor
    assert fingerprints(["parcel.plugin"]) == before
    assert "parcel" not in sys.modules
    for path in ("inner/part.py", "inner/new.py", "other.py", "inner/part.pyc"):
        (package / path).write_text("value = 2\n")
        assert fingerprints(["parcel.plugin"]) != before, path
        before = fingerprints(["parcel.plugin"])
    (package / "inner" / "other.py").symlink_to(package / "other.py")
    assert fingerprints(["parcel.plugin"]) != before
    (package / "inner" / "again").symlink_to(package)  # a circle of links
    assert fingerprints(["parcel.plugin"])


def test_a_change_in_a_submodule_asks_for_trust_again(package, tmp_path):
    described = Experiment(plugins=["parcel.plugin"])
    run = RunDir(tmp_path / "their_run")
    run.path.mkdir()
    run.experiment_file.write_text(described.to_yaml())
    record_trust(run.path, described)
    load_run_plugins(run)
    (package / "inner" / "part.py").write_text("value = 2\n")
    with refused("Run their_run", "parcel.plugin"):
        load_run_plugins(run)


def test_bytecode_beside_a_trusted_source_is_not_run(package, marks):
    source, part = package / "inner" / "part.py", package / "inner" / "poison.py"
    part.write_text(f"open({str(marks / 'ran')!r}, 'w').close()\n")
    forged = importlib.util.cache_from_source(str(source))
    py_compile.compile(
        str(part), forged, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    load_plugins(["parcel.plugin"])
    assert sys.modules["parcel.inner.part"].value == 1
    assert list(marks.iterdir()) == []


def test_a_changed_module_is_refused_while_it_is_loaded(package):
    digests = fingerprints(["parcel.plugin"])
    (package / "plugin.py").write_text("value = 2\n")
    with refused("Plugin parcel.plugin", rule="change while it is loaded"):
        load_plugins(digests, digests)
    assert "parcel" not in sys.modules


def test_a_package_with_too_many_files_is_refused(package, monkeypatch):
    (package / "data.txt").write_text("")
    monkeypatch.setattr(plugin_loading, "MOST_FILES", 2)
    with refused("The package of a plugin", "more in 'parcel.plugin'"):
        fingerprints(["parcel.plugin"])


ARRIVED = """
import sys
from qtha_lab.runs import run as runs
run = runs.load_run("received")
run.resume()
print(run.wait().state)
"""


@pytest.mark.slow
def test_a_worker_searches_the_working_folder_only_if_its_starter_does(tmp_path, marks):
    """A user resumes a run inside the received folder, with the installed command."""
    folder = RunDir.create(Experiment(training={"steps": 1, "generate_rows": 0}), tmp_path).path
    run = Run(folder.rename(tmp_path / NAME))
    write(run, status("running", 0), status("stopped", 0))
    for name in ("qtha_lab", "transformers"):
        (run.path / f"{name}.py").write_text(f"open({str(marks / name)!r}, 'w').close()\n")
    environment = os.environ | {"QTHA_LAB_RUNS": str(tmp_path)}
    script = tmp_path / "resume.py"  # a script searches its own folder, as `qtha-lab` does
    script.write_text(ARRIVED)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=run.path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "finished", done.stderr + run.log_tail()
    assert list(marks.iterdir()) == []
