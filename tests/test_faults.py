"""Whatever goes wrong becomes one sentence; a traceback is only ever in a file."""

import pytest

from qtha_lab import __version__, faults
from qtha_lab.errors import Refusal, Unsupported


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "new" / "faults.log"))
    return tmp_path / "new" / "faults.log"


@pytest.mark.parametrize("refused", [Refusal("r must be 2"), Unsupported("r must be 2")])
def test_a_refusal_keeps_its_words_and_is_recorded_nowhere(refused, log):
    assert faults.sentence(refused) == "r must be 2"
    assert not log.exists()


def test_a_path_that_cannot_be_used_is_named(log, tmp_path):
    for read in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(OSError, match=read.name) as wrong:
            read.read_text()
        assert faults.sentence(wrong.value).startswith(f"{read}: ")
        assert "Errno" not in faults.sentence(wrong.value)
    assert not log.exists()


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, OSError])
def test_the_words_of_a_library_are_never_shown_as_ours(kind, log):
    try:
        raise kind("expected device meta but got cpu")
    except kind as wrong:
        sentence = faults.sentence(wrong)
    fault = f"this is a fault of qtha-lab {__version__} ({kind.__name__})"
    assert sentence == f"{fault}; details in {log}; please report it"
    assert "Traceback" in log.read_text()
    assert "expected device meta but got cpu" in log.read_text()


def test_the_end_of_memory_is_told_as_that(log):
    torchs = RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
    )
    for wrong in (MemoryError(), torchs):
        assert faults.sentence(wrong) == f"memory ran out; details in {log}"


def test_a_log_that_cannot_be_written_is_told_and_raises_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "file" / "faults.log"))
    assert "could not be written to" in faults.sentence(RuntimeError("x"))


def test_the_traceback_of_a_run_is_in_its_own_log(tmp_path, log):
    assert faults.sentence(Refusal("no such model"), tmp_path / "worker.log") == "no such model"
    assert "Refusal: no such model" in (tmp_path / "worker.log").read_text()
    assert not log.exists()
