"""Fixtures of the whole suite: no network, one thread, every test its own runs folder."""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("QTHA_LAB_WARM_SECONDS", "60")

import pytest

pytest.register_assert_rewrite("support")


@pytest.fixture(autouse=True)
def _runs_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def no_plugin_stays():
    """Other tests of the process see our own members only."""
    from qtha_lab.contract.checking import registries

    yield
    for module in [name for name in sys.modules if name.startswith("qtha_lab_plugin_")]:
        del sys.modules[module]
        for registry in registries():
            registry.forget(module)
