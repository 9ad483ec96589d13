"""Fixtures of the whole suite: no network, one thread, every test its own runs folder."""

import gc
import os
import shutil
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # as workers set it: runs in here equal theirs
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" not in os.environ:
    # one place for the servers of all workers, which end with the suite
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="t")

import pytest

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # grammars nobody asks for: a second of each start
pytest.register_assert_rewrite("support")


def pytest_unconfigure(config):
    """The servers that forked processes for the tests have no further use."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _runs_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="session", autouse=True)
def _schedulers_have_libraries():
    """Scheduler processes of the tests are forked from a Python with the libraries."""
    from multiprocessing import spawn

    from support.preloaded import program

    before = spawn.get_executable()
    spawn.set_executable(program())
    yield
    spawn.set_executable(before)


@pytest.fixture(autouse=True)
def _short_measurements(monkeypatch):
    """No test asserts a time.

    A preview times each step of training once, where it would for most of a second.
    """
    if measured := sys.modules.get("qtha_lab.experiment.cost.calibration"):
        monkeypatch.setattr(measured, "LONGEST_MEASUREMENT", 0.0)


@pytest.fixture
def no_plugin_stays():
    """Other tests of the process see our own members only."""
    from qtha_lab.testing.checking import registries

    yield
    for module in [name for name in sys.modules if name.startswith("qtha_lab_plugin_")]:
        del sys.modules[module]
        for registry in registries():
            registry.forget(module)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory):
    """A JupyterLab for all browser tests of this worker, which put their notebooks below its root."""
    from support.jupyter_browser import serve

    root = tmp_path_factory.getbasetemp()
    with serve(root, tmp_path_factory.mktemp("jupyter")) as server:
        yield server


# Files that take longest, longest first: workers that begin with them end together (`make test`).
LONGEST = [
    "test_lessons",
    "test_browser_form",
    "test_browser",
    "test_browser_live",
    "test_runs",
    "test_browser_explorers",
    "test_wheel",
    "test_exercises",
    "test_panel_cleanup",
    "test_adapters",
    "test_answer_bank",
    "test_runs_table",
    "test_figures_contract",
    "test_split_of_own_files",
    "test_conformance",
    "test_explorers_03_08",
    "test_tasks",
    "test_early_stopping",
    "test_explorers",
    "test_federated",
    "test_architecture",
    "test_plugins",
    "test_evaluation_variants",
    "test_recorded_measurements",
    "test_registration_with_peft",
    "test_full_disk",
    "test_figures_export",
    "test_scheduler",
    "test_compiled",
    "test_pennylane_device",
    "test_docs",
    "test_simulators",
    "test_preview",
    "test_bench_simulators",
    "test_compare",
    "test_checkpoints",
]


def pytest_collection_finish():
    """Later collections of garbage pass over the libraries."""
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Order the test files with the longest first for several workers."""
    if hasattr(config, "workerinput"):
        rank = {name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
