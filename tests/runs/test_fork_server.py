"""Real servers and real workers: what is forked does what a worker of its own would, and nothing depends on it."""

import json
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

import psutil
import pytest
import torch
from support.waiting import PATIENCE, wait_until
from support.warm_servers import end_servers, server_processes

from qtha_lab.cli.diagnosis import examine
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.runs import fork_server as warm
from qtha_lab.runs import run as runs
from qtha_lab.runs.fork_server import address as place
from qtha_lab.runs.fork_server import client
from qtha_lab.runs.fork_server.safety import DEVICES, _built_for, hindrance
from qtha_lab.runs.worker import NICENESS

TRAINING = {
    "steps": 3, "batch_size": 2, "max_length": 24, "train_rows": 12, "eval_rows": 4, "test_rows": 8, "generate_rows": 1,
    "max_new_tokens": 3, "threads": 1,
}  # fmt: skip
needs_fork = pytest.mark.skipif(not warm.available(), reason="no warm workers on this machine")
pytestmark = needs_fork


@pytest.fixture(scope="module")
def servers():
    """A place for servers of this file alone; all are gone at its end."""
    folder = Path(tempfile.mkdtemp(prefix="w"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setenv("QTHA_LAB_WARM_REPLY_SECONDS", str(PATIENCE))  # a busy machine loads for long
        yield folder
    end_servers(folder)
    shutil.rmtree(folder)


def listens(folder):
    """Report if a server responds there; the socket of an ended one is still a file."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(folder / "socket")) == 0


def launched(**changes):
    return runs.launch(Experiment(method="lora(r=2)", training=TRAINING | changes), check=False)


def finished(run):
    status = run.wait(PATIENCE)
    assert status.state == "finished", f"{status}\n{run.log_tail()}"
    return run


def worker_of(run):
    """The process of a run's worker, once it has signed the lock."""
    process = psutil.Process(wait_until(lambda: slots.holder(run.files.lock)))
    wait_until(process.cmdline)  # empty while the system puts the program in place
    return process


def started_cold(run):
    """The run has a worker of its own, which comes past the queue; it is not waited for any longer."""
    assert "qtha_lab.runs.worker" in worker_of(run).cmdline()
    wait_until(lambda: run.status().state in ("loading", "running", "finished"), run.log_tail)
    run.stop(soft_seconds=0, term_seconds=0)


def losses(run):
    return [(e["kind"], e["step"], e["loss"]) for e in run.valid_events() if "loss" in e]


@pytest.mark.slow
def test_a_forked_worker_comes_from_the_server_and_trains_as_one_of_its_own(servers, monkeypatch):
    forked = launched()
    parent = worker_of(forked).parent()
    assert "qtha_lab.runs.fork_server.server" in parent.cmdline()
    again = launched()
    assert worker_of(again).parent() == parent
    monkeypatch.setenv("QTHA_LAB_WARM_SECONDS", "0")
    cold = launched()
    assert "qtha_lab.runs.worker" in worker_of(cold).cmdline()
    assert losses(finished(forked)) == losses(finished(again)) == losses(finished(cold))
    assert len(losses(forked)) > 3
    starts = [json.loads(run.files.environment.read_text())["start"] for run in (forked, cold)]
    assert starts == ["warm", "cold"]
    warm_peak, cold_peak = (run.summary["peak_memory_bytes"] for run in (forked, cold))
    assert cold_peak == pytest.approx(
        warm_peak, abs=8 * 2**20
    )  # what a cold one imports at its end


@pytest.mark.slow
def test_a_worker_has_the_variables_and_the_folder_of_who_launched_it(
    servers, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lookout.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "Path('seen.txt').write_text(os.environ['SEEN_BY_THE_WORKER'] + ' ' + os.getcwd())\n"
    )
    monkeypatch.setenv("SEEN_BY_THE_WORKER", "blau ü")
    experiment = Experiment(method="lora(r=2)", training=TRAINING, plugins=["lookout.py"])
    finished(runs.launch(experiment, check=False))
    assert (tmp_path / "seen.txt").read_text() == f"blau ü {tmp_path}"


@pytest.mark.slow
def test_the_signal_that_ended_a_worker_is_kept_though_another_process_is_its_parent(servers):
    run = launched(steps=500)
    worker_of(run).send_signal(signal.SIGKILL)
    status = run.wait(PATIENCE)
    assert (status.state, status.message) == (
        "dead",
        "killed by the system (SIGKILL): out of memory?",
    )


@pytest.mark.slow
def test_a_stopped_run_is_resumed_by_another_warm_worker(servers):
    run = launched(steps=200, checkpoint_every=2)
    wait_until(lambda: run.status().step >= 3)
    assert run.stop(PATIENCE).state == "stopped"
    first = slots.holder(run.files.lock)
    run.resume()
    assert worker_of(run).pid != first
    run.stop(PATIENCE)


@pytest.mark.slow
def test_a_request_that_is_none_is_answered_and_the_server_lives(servers):
    finished(launched())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(place.folder() / "socket"))
        connection.sendall(b"[nonsense")
        connection.shutdown(socket.SHUT_WR)
        assert "must be JSON" in json.loads(connection.recv(4096))["fault"]
    finished(launched())


@pytest.mark.slow
def test_a_server_that_died_is_replaced_and_its_run_goes_on(servers):
    orphan = launched(steps=40)
    worker = worker_of(orphan)
    server = worker.parent()
    server.kill()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    next_run = launched()
    assert worker_of(next_run).parent() not in (server, None)
    finished(next_run)
    finished(orphan)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["warm", "cold"])
def test_a_training_comes_after_the_page_that_watches_it(servers, monkeypatch, start):
    if start == "cold":
        monkeypatch.setenv("QTHA_LAB_WARM_SECONDS", "0")
    run = launched(steps=40)
    worker = worker_of(run)
    wait_until(lambda: worker.nice() == min(19, psutil.Process().nice() + NICENESS))
    run.stop(soft_seconds=0, term_seconds=0)


@pytest.mark.slow
def test_a_request_that_a_dying_server_never_answered_is_started_cold(servers):
    """A server that stands still takes the request and is killed: the run gets a worker of its own."""
    warm.prepare()
    here = place.folder()
    wait_until(lambda: listens(here))
    [server] = server_processes(here)
    server.suspend()
    run = launched()
    assert run.alive
    assert run.status().state == "queued"
    server.kill()
    started_cold(run)


@pytest.mark.slow
def test_a_server_that_stands_still_delays_a_run_for_a_limited_time_and_forks_no_second_worker(
    servers, monkeypatch
):
    monkeypatch.setenv("QTHA_LAB_WARM_REPLY_SECONDS", "1")
    warm.prepare()
    here = place.folder()
    wait_until(lambda: listens(here))
    [server] = server_processes(here)
    server.suspend()
    run = launched(steps=20_000)  # it must outlive the server's imports
    worker = worker_of(run)
    assert "qtha_lab.runs.worker" in worker.cmdline()
    server.resume()  # the request is still in its queue
    wait_until(lambda: replies(here, b"{}"))  # it has come past that request
    assert server.children() == []
    assert slots.holder(run.files.lock) == worker.pid
    assert list(here.glob("ticket-*")) == []
    run.stop(soft_seconds=0, term_seconds=0)


@pytest.mark.slow
def test_a_server_that_imports_for_longer_than_the_timeout_is_waited_for(servers, monkeypatch):
    end_servers(servers)
    monkeypatch.setenv("QTHA_LAB_WARM_REPLY_SECONDS", "2")  # the imports take longer
    monkeypatch.setattr(client, "MOST_TIMEOUTS", 1000)
    run = launched()
    assert "qtha_lab.runs.fork_server.server" in worker_of(run).parent().cmdline()
    run.stop(soft_seconds=0, term_seconds=0)


def replies(folder, message, *descriptors) -> str:
    """The fault that a server reports for a message that is no request."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / "socket"))
        socket.send_fds(connection, [message], descriptors)
        connection.shutdown(socket.SHUT_WR)
        return json.loads(connection.recv(1 << 16))["fault"]


@pytest.mark.slow
def test_a_request_without_its_descriptors_or_fields_leaves_one_server(servers):
    warm.prepare()
    here = place.folder()
    wait_until(lambda: listens(here))
    [server] = server_processes(here)
    whole = {"run_dir": "x", "folder": "/", "searched": False, "environment": {}}
    whole["ticket"] = f"ticket-{0:016x}"
    assert "2 descriptors, got 0" in replies(here, json.dumps(whole).encode())
    assert "2 descriptors, got 1" in replies(here, json.dumps(whole).encode(), 0)
    for name in whole:
        rest = {key: value for key, value in whole.items() if key != name}
        assert f"field {name}" in replies(here, json.dumps(rest).encode(), 0, 1)
    for message in (b"[]", b"7", json.dumps(whole | {"environment": {"A": 1}}).encode()):
        assert "Refusal" in replies(here, message, 0, 1)
    for ticket in ("../lock", "lock", "/etc/passwd", "ticket-"):
        assert "ticket" in replies(here, json.dumps(whole | {"ticket": ticket}).encode(), 0, 1)
    assert "FileNotFoundError" in replies(here, json.dumps(whole).encode(), 0, 1)  # no such ticket
    assert server_processes(here) == [server]
    assert server.children() == []
    assert (here / "lock").exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="limits of another process")
def test_a_server_without_a_free_descriptor_lives_on(servers):
    warm.prepare()
    here = place.folder()
    wait_until(lambda: listens(here))
    [server] = server_processes(here)
    before = server.rlimit(psutil.RLIMIT_NOFILE)
    lowest_free = next(n for n in range(1000) if not Path(f"/proc/{server.pid}/fd/{n}").exists())
    server.rlimit(psutil.RLIMIT_NOFILE, (lowest_free, before[1]))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(here / "socket"))
        wait_until(lambda: b"cannot be accepted" in (here / "log").read_bytes())
    server.rlimit(psutil.RLIMIT_NOFILE, before)
    assert "Refusal" in replies(here, b"{}")
    assert server_processes(here) == [server]


@pytest.mark.slow
def test_where_a_library_begins_a_thread_nothing_is_forked_and_runs_start_cold(
    servers, monkeypatch, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading, time\n"
        "if 'qtha_lab.runs.fork_server.server' in sys.orig_argv:\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    started_cold(launched())


@pytest.mark.slow
def test_two_that_ask_at_once_get_one_server_which_leaves_when_nobody_asks(servers, monkeypatch):
    monkeypatch.setenv("OMP_DISPLAY_ENV", "false")  # a kind of server that is not there yet
    monkeypatch.setenv("QTHA_LAB_WARM_SECONDS", "1")
    before = {process.pid for process in server_processes(servers)}
    address = place.folder() / "socket"
    first, second = launched(), launched()
    assert address.exists()  # it listens before it loads the libraries
    parents = {worker_of(first).parent().pid, worker_of(second).parent().pid}
    assert len(parents) == 1
    assert not parents & before
    finished(first)
    finished(second)
    wait_until(lambda: not address.exists())


def test_a_server_is_for_processes_alike(monkeypatch, tmp_path):
    same = place.server_fingerprint()
    assert place.server_fingerprint() == same
    monkeypatch.setenv("NO_LIBRARY_READS_THIS", "1")
    assert place.server_fingerprint() == same
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert place.server_fingerprint() != same


def test_a_changed_source_has_a_server_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "a.py").write_text("1")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    same = place.server_fingerprint()
    (tmp_path / "a.py").write_text("12")
    assert place.server_fingerprint() != same


def _link(path):
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _give_away(path):
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(path, 12345, 12345)


ENTERED = {
    "a link": _link,
    "of another user": _give_away,
    "open to others": lambda path: path.chmod(0o755),
    "a file": lambda path: (path.rename(path.with_name("elsewhere")), path.touch()),
}


@pytest.mark.parametrize("level", ["the user's folder", "the server's folder"])
@pytest.mark.parametrize("attack", ENTERED)
def test_a_folder_that_another_user_could_have_prepared_is_not_used(monkeypatch, attack, level):
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        path = place.folder()
        assert path.stat().st_mode & 0o777 == path.parent.stat().st_mode & 0o777 == 0o700
        ENTERED[attack](path if level == "the server's folder" else path.parent)
        before = sorted(Path(folder).rglob("*"))
        with pytest.raises(Refusal, match=r"must be(long)? "):
            place.folder()
        run = RunDir.create(Experiment(method="lora(r=2)"), Path(folder) / "runs")
        lock = slots.hold(run.lock)
        assert warm.fork_worker(run, lock, lock) is None  # the run starts by itself
        os.close(lock)
        after = [p for p in Path(folder).rglob("*") if "runs" not in p.parts]
        assert sorted(after) == before
        assert server_processes(folder) == []


GPUS = {"nvidia": "dev/nvidiactl", "amd": "dev/kfd", "screen": "dev/dri/renderD128"}


@pytest.mark.parametrize(
    ("built_for", "gpus", "hindered"),
    [
        ({}, ["nvidia", "amd", "screen"], False),
        ({"cuda": "12.6"}, [], False),
        ({"cuda": "12.6"}, ["screen"], False),  # most desktops
        ({"cuda": "12.6"}, ["nvidia", "screen"], True),
        ({"hip": "6.4"}, ["screen"], False),
        ({"hip": "6.4"}, ["amd", "screen"], True),
        ({"xpu": "20250001"}, ["screen"], True),
        (None, ["screen"], True),  # torch does not say
    ],
)
def test_nothing_is_forked_where_torch_is_built_for_a_gpu_that_is_here(
    tmp_path, built_for, gpus, hindered
):
    version = tmp_path / "version.py"
    if built_for is not None:
        words = {"cuda": None, "hip": None, "xpu": None} | built_for
        version.write_text("".join(f"{kind}: str | None = {of!r}\n" for kind, of in words.items()))
    for gpu in gpus:
        device = tmp_path / GPUS[gpu]
        device.parent.mkdir(parents=True, exist_ok=True)
        device.touch()
    clause = hindrance(tmp_path, version)
    assert bool(clause) == hindered
    if hindered:
        assert f"/{GPUS[gpus[0]]} is for" in clause


def test_what_torch_is_built_for_is_what_torch_says():
    kinds = _built_for(None)
    assert [bool(getattr(torch.version, kind)) for kind in DEVICES] == [k in kinds for k in DEVICES]


def test_the_doctor_says_whether_runs_start_warm_and_why_not(monkeypatch):
    def words():
        [finding] = [finding for finding in examine() if finding.name == "starts"]
        return finding.level, finding.message

    assert words() == ("ok", "fork server, which stays 600 s after the last run")
    monkeypatch.setenv("QTHA_LAB_WARM_SECONDS", "0")
    level, message = words()
    assert (level, message.partition(": ")[2]) == ("note", "QTHA_LAB_WARM_SECONDS is 0")
    monkeypatch.setenv("QTHA_LAB_WARM_SECONDS", "soon")
    assert words()[0] == "problem"


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", ""])
def test_seconds_that_are_no_number_are_refused(monkeypatch, text):
    monkeypatch.setenv("QTHA_LAB_WARM_SECONDS", text)
    with pytest.raises(Refusal, match=r"must be a number of seconds \(0 for no server\), got"):
        warm.available()
    with pytest.raises(Refusal, match="must be a number of seconds"):
        runs.launch(Experiment(method="lora(r=2)"), check=False)
    assert runs.list_runs(unreadable=True) == []  # no directory was made
    warm.prepare()  # a panel opens all the same
