"""Each patch of another library works with it, and refuses or does nothing where it differs."""

import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import optuna
import peft
import plotly.graph_objects  # noqa: F401
import pytest
from _plotly_utils import basevalidators
from filelock import FileLock, Timeout
from optuna.storages.journal import JournalFileBackend, JournalStorage
from peft import PeftType
from support.refusals import refused

from qtha_lab.core import patches

HOLD = """
import sys, time
from pathlib import Path
from qtha_lab.core.patches import journal_lock
lock = journal_lock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_name_is_added_to_the_types_of_peft_once():
    member = patches.extend_peft_types("patched_name")
    assert patches.extend_peft_types("patched_name") is member is PeftType("PATCHED_NAME")
    assert [t for t in PeftType if t == "PATCHED_NAME"] == [PeftType["PATCHED_NAME"]]
    assert pickle.loads(pickle.dumps(member)) is member


def test_a_peft_without_an_enumeration_is_refused(monkeypatch):
    monkeypatch.setattr(peft, "PeftType", SimpleNamespace(__members__={}))
    monkeypatch.setattr(patches, "issubclass", lambda *of: False, raising=False)
    with refused("peft", "peft 0.21.2"):
        patches.extend_peft_types("new")


def test_a_spec_without_a_loader_is_left_as_it_is(monkeypatch):
    spec = SimpleNamespace(loader=None)
    finder = patches._AfterPeft()
    other = SimpleNamespace(find_spec=lambda *of: spec)
    monkeypatch.setattr(sys, "meta_path", [finder, other])
    assert finder.find_spec("peft") is spec
    assert finder.find_spec("json") is None


def test_a_trainer_runs_a_function_after_its_card_once(monkeypatch):
    class Trainer:
        def create_model_card(self, name):
            self.events = [name]

    monkeypatch.setattr(patches, "CARD_WRITERS", ((__name__, "Trainer"), (__name__, "Missing")))
    monkeypatch.setattr(sys.modules[__name__], "Trainer", Trainer, raising=False)
    for _ in range(2):
        patches.after_trainer_card(lambda trainer: trainer.events.append("renewed"))
    trainer = Trainer()
    trainer.create_model_card("written")
    assert trainer.events == ["written", "renewed"]


@pytest.mark.parametrize("owner", [None, SimpleNamespace(Trainer=type("Other", (), {}))])
def test_a_trainer_that_writes_no_card_is_left_as_it_is(owner, monkeypatch):
    monkeypatch.setattr(patches, "CARD_WRITERS", (("trainers", "Trainer"),))
    monkeypatch.setitem(sys.modules, "trainers", owner)
    patches.after_trainer_card(print)
    assert not hasattr(getattr(owner, "Trainer", None), "create_model_card")


@pytest.mark.parametrize("has_base_class", [True, False])
def test_optuna_writes_a_journal_with_the_lock(tmp_path, monkeypatch, has_base_class):
    if not has_base_class:
        monkeypatch.delattr("optuna.storages.journal._file.BaseJournalFileLock")
    lock = patches.journal_lock(tmp_path / "lock")
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "journal"), lock_obj=lock))
    study = optuna.create_study(storage=journal)
    study.tell(study.ask(), 1.0)
    assert study.best_value == 1.0


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    place = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Timeout):
            FileLock(place, timeout=0).acquire()
        os.kill(process.pid, signal.SIGKILL)
    assert patches.journal_lock(place).acquire()


def test_a_kernel_gets_the_cache_only_where_numba_has_one():
    kernel, other = SimpleNamespace(_cache=None), SimpleNamespace()
    for function in (kernel, other):
        patches.replace_kernel_cache(function, "ours")
    assert kernel._cache == "ours"
    assert vars(other) == {}


def test_plotly_gets_a_module_that_another_thread_imports_when_it_is_whole(tmp_path, monkeypatch):
    gate = SimpleNamespace(began=threading.Event(), may_end=threading.Event())
    (tmp_path / "slow_module.py").write_text(
        "import slow_module_gate\n"
        "slow_module_gate.began.set()\n"
        "slow_module_gate.may_end.wait()\n"
        "answer = 42\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "slow_module_gate", gate)
    patches.await_imports_in_plotly()
    found = []
    importing = threading.Thread(target=importlib.import_module, args=["slow_module"])
    drawing = threading.Thread(
        target=lambda: found.append(basevalidators.get_module("slow_module", should_load=False))
    )
    importing.start()
    gate.began.wait()
    drawing.start()
    gate.may_end.set()
    for thread in (importing, drawing):
        thread.join()
    assert found[0].answer == 42
    assert basevalidators.get_module("no_such_module", should_load=False) is None
    monkeypatch.delitem(sys.modules, "slow_module")


def test_a_plotly_without_optional_modules_is_left_as_it_is(monkeypatch):
    other = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "_plotly_utils.basevalidators", other)
    patches.await_imports_in_plotly()
    assert vars(other) == {}
