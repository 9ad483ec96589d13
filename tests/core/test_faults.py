"""Every fault becomes one sentence; a traceback is in a file only."""

import pytest

from qtha_lab import __version__
from qtha_lab.core import fault_log
from qtha_lab.core.call_syntax import parse_call, parse_options
from qtha_lab.core.errors import Refusal, Unsupported
from qtha_lab.core.paths import as_path
from qtha_lab.core.plugin_loading import fingerprints, load_plugins
from qtha_lab.experiment import Experiment
from qtha_lab.runs.remote import remote_backend_named


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "new" / "faults.log"))
    return tmp_path / "new" / "faults.log"


@pytest.mark.parametrize("refused", [Refusal("r must be 2"), Unsupported("r must be 2")])
def test_a_refusal_keeps_its_words_and_is_recorded_nowhere(refused, log):
    assert fault_log.fault_sentence(refused) == "r must be 2"
    assert not log.exists()


def test_a_path_that_cannot_be_used_is_named(log, tmp_path):
    for read in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(OSError, match=read.name) as wrong:
            read.read_text()
        assert fault_log.fault_sentence(wrong.value).startswith(f"{read}: ")
        assert "Errno" not in fault_log.fault_sentence(wrong.value)
    assert not log.exists()


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, OSError])
def test_the_words_of_a_library_are_never_shown_as_ours(kind, log):
    try:
        raise kind("expected device meta but got cpu")
    except kind as wrong:
        sentence = fault_log.fault_sentence(wrong)
    fault = f"this is a fault of qtha-lab {__version__} ({kind.__name__})"
    assert sentence == f"{fault}; details in {log}; please report it"
    assert "Traceback" in log.read_text()
    assert "expected device meta but got cpu" in log.read_text()


def test_the_end_of_memory_is_told_as_that(log):
    torchs = RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
    )
    for wrong in (MemoryError(), torchs):
        assert fault_log.fault_sentence(wrong) == f"memory ran out; details in {log}"


def test_a_log_that_cannot_be_written_is_told_and_raises_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "file" / "faults.log"))
    assert "could not be written to" in fault_log.fault_sentence(RuntimeError("x"))


def test_the_traceback_of_a_run_is_in_its_own_log(tmp_path, log):
    assert (
        fault_log.fault_sentence(Refusal("no such model"), tmp_path / "worker.log")
        == "no such model"
    )
    assert "Refusal: no such model" in (tmp_path / "worker.log").read_text()
    assert not log.exists()


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: remote_backend_named(LONG),
        lambda: remote_backend_named(f"ray({LONG}=1)"),
        lambda: remote_backend_named(f"ray(cpus={LONG})"),
        lambda: remote_backend_named(f"slurm(cluster={LONG})"),
        lambda: load_plugins([f"{LONG}.py"]),
        lambda: load_plugins([LONG]),
        lambda: fingerprints([f"a/{LONG}.py"]),
        lambda: parse_call(f"({LONG}", "method"),
        lambda: parse_options(LONG),
        lambda: parse_options(f"{LONG}=1,{LONG}=1"),
        lambda: as_path(f"~{'y' * 250}/{'z' * 200}"),
        lambda: Experiment(method=f"qtha(r={LONG})").check(),
        lambda: Experiment(method=LONG).check(),
        lambda: Experiment(model="x/" * 3000).check(),
        lambda: Experiment(training={"phases": LONG, "steps": 4}),
    ],
)
def test_a_refusal_repeats_at_most_80_characters_of_what_was_typed(attempt, log):
    with pytest.raises(Refusal) as refused:
        attempt()
    assert str(refused.value).count("x") + str(refused.value).count("y") <= 100
    assert len(str(refused.value)) <= 300
    assert not log.exists()


def test_a_refusal_that_repeats_too_much_is_cut_at_300_characters(log):
    assert fault_log.fault_sentence(Refusal(LONG)) == "x" * 199 + "…" + "x" * 100
    assert fault_log.fault_sentence(FileNotFoundError(2, "No such file", LONG)) == "x" * 299 + "…"


def test_a_refusal_moves_no_cursor(log):
    assert (
        fault_log.fault_sentence(Refusal("r\x1b[2J must be\u202e 2"))
        == "r\\x1b[2J must be\\u202e 2"
    )


@pytest.mark.parametrize("base", [Exception, Refusal, RuntimeError, BaseException])
def test_an_exception_that_cannot_be_printed_is_still_one_sentence(base, log):
    class Bad(base):
        def __str__(self):
            raise SystemExit

    sentence = fault_log.fault_sentence(Bad())
    assert "\n" not in sentence
    assert ("its message raises SystemExit" in sentence) == (base is Refusal)
