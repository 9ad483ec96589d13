"""Runs on other machines: a Ray cluster of two nodes that loses one, and Slurm's jobs as processes of this machine."""

import json
import os
import subprocess
import sys
import time

import pytest
from support.waiting import PATIENCE, wait_until

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.runs.launch import launch
from qtha_lab.runs.remote import registry, remote_backend_named
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies import comparison

SMALL = Comparison(
    methods="lora(r=2),qtha(r=2,waist=8,bond_dim=2,n_layers=1)",
    training={
        "steps": 60, "checkpoint_every": 5, "eval_every": 60, "eval_rows": 8, "test_rows": 8, "generate_rows": 0,
    },
)  # fmt: skip


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one core each on this machine; the second may be lost."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else every other test goes first
    nodes = started_nodes()
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def started_nodes():
    """A cluster; Ray gives a node 30 seconds to start, which a busy machine may not."""
    from ray.cluster_utils import Cluster

    end = time.monotonic() + PATIENCE
    while True:
        nodes = Cluster()
        try:
            nodes.add_node(num_cpus=1, include_dashboard=False)
            nodes.add_node(num_cpus=1)
            return nodes
        except Exception as problem:
            nodes.shutdown()
            if "timed out during startup" not in str(problem) or time.monotonic() > end:
                raise


OWN_CLUSTER = """
import json, os, psutil
from qtha_lab.core.errors import Refusal
from qtha_lab.runs.remote import remote_backend_named
try:
    machines = remote_backend_named("ray")
except Refusal as refused:
    print(json.dumps(str(refused)))
    raise SystemExit
processes = psutil.Process().children(recursive=True)
names = [" ".join(process.cmdline()) for process in processes]
listening = [c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
print(json.dumps([machines.name, listening, os.environ["RAY_AUTH_MODE"], names]))
machines.close()
"""


def own_cluster(**env):
    """Start `--on ray` without an address in a new process.

    Ray's node never answers its driver if its first worker dies before it registers.
    """
    pytest.importorskip("ray")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | env
    done = subprocess.run(
        [sys.executable, "-c", OWN_CLUSTER],
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_new_ray_cluster_is_reached_from_this_machine_only_with_a_token_and_no_dashboard():
    end = time.monotonic() + PATIENCE
    patient = {"RAY_agent_register_timeout_ms": "300000", "RAY_AUTH_MODE": "disabled"}
    while isinstance(answer := own_cluster(RAY_worker_niceness="0", **patient), str):
        assert answer.startswith("Ray must start a node on this machine, got ")
        assert time.monotonic() < end, answer  # a busy machine starts no node in time
    name, listening, mode, command_lines = answer
    assert "127.0.0.1:" in name
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}
    assert mode == "token"
    assert all("--disable-frontend" in line for line in command_lines if "dashboard.py" in line)


@pytest.mark.slow
def test_a_node_of_ray_that_does_not_start_is_a_refusal():
    sentence = own_cluster(RAY_TMPDIR="/proc/none")
    assert sentence.startswith("Ray must start a node on this machine, got ")
    assert len(sentence) <= 300
    assert "\n" not in sentence


@pytest.fixture
def job_folder(tmp_path):
    """A run, and the folder beside it where submitit keeps its pickles."""
    pytest.importorskip("submitit")
    run = Run(RunDir.create(SMALL.experiments()[0], tmp_path).path)
    folder = tmp_path / ".jobs"
    folder.mkdir()
    return run, folder


def test_the_pickles_of_slurms_jobs_lie_in_a_folder_that_only_their_user_enters(job_folder):
    run, folder = job_folder
    folder.chmod(0o755)
    machines = remote_backend_named("slurm(cluster=local)")
    machines.start(run.files)
    assert folder.stat().st_mode & 0o777 == 0o700
    machines.close()


@pytest.mark.parametrize("plant", ["world-writable", "link", "of another user"])
def test_no_job_is_submitted_through_a_folder_that_others_could_have_filled(job_folder, plant):
    run, folder = job_folder
    if plant == "world-writable":
        folder.chmod(0o777)
    elif plant == "link":
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to(folder.with_name("elsewhere"))
    elif os.getuid() == 0:
        os.chown(folder, 12345, 12345)
    else:
        pytest.skip("only root can give a folder away")
    with pytest.raises(Refusal, match=r"\.jobs must be"):
        remote_backend_named("slurm(cluster=local)").start(run.files)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_run_whose_node_is_killed_goes_on_from_its_checkpoint_on_another(cluster, tmp_path):
    on = f"ray(address={cluster.address})"
    lost = list(cluster.worker_nodes)
    states: dict[str, list[str]] = {}

    def watch(run, status):
        states.setdefault(run.id, []).append(status.state)
        if lost and all(run.status().step >= 10 for run in list_runs(tmp_path / "runs")):
            cluster.remove_node(lost.pop(), allow_graceful=False)

    summary = comparison.run_comparison(SMALL, tmp_path, watch, on=on)
    assert not lost
    assert [entry["state"] for entry in summary["runs"]] == ["finished", "finished"]
    assert not {"dead", "failed", "stopped"} & {state for seen in states.values() for state in seen}
    finished = list_runs(tmp_path / "runs")
    for run in finished:
        assert [e["step"] for e in run.valid_events() if e["kind"] == "train"] == [*range(1, 61)]
    begun = [e["step"] for run in finished for e in run.events()[0] if is_start(e)]
    assert sorted(begun)[:2] == [0, 0]
    assert len(begun) == 3  # and one from a checkpoint
    assert max(begun) >= 5  # or 10, if that checkpoint was whole when the node died


@pytest.mark.slow
def test_the_trials_of_a_comparison_that_tunes_are_trained_on_the_cluster_too(cluster, tmp_path):
    tuned = SMALL.replace(
        methods="lora(r=2)",
        training=SMALL.training.replace(steps=6, eval_every=6),
        tuning={"axes": {"learning_rate": [0.003, 0.01]}, "trials": 2, "seeds": [7]},
    )
    summary = comparison.run_comparison(tuned, tmp_path, on=f"ray:{cluster.address}")
    assert [entry["state"] for entry in summary["runs"]] == ["finished"]
    (trials,) = (tmp_path / "tuning").iterdir()
    tried, confirmed = list_runs(trials / "runs"), list_runs(tmp_path / "runs")
    assert (len(tried), len(confirmed)) == (2, 1)
    for run in [*tried, *confirmed]:
        assert run.status().state == "finished"
        assert run.files.sent.exists()  # held by who sent it while a machine of the cluster worked


def is_start(event) -> bool:
    """Report if training begins here, at step 0 or from a checkpoint, or the test."""
    running = event["kind"] == "status" and event["state"] == "running"
    return running and not event.get("again") and event["step"] < SMALL.training.steps


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Slurm's jobs as processes of this machine."""
    pytest.importorskip("submitit")
    connected = remote_backend_named("slurm(cluster=local)")
    yield connected, tmp_path_factory.mktemp("runs")
    connected.close()


@pytest.mark.slow
def test_a_job_of_slurm_works_on_a_run_which_is_stopped_and_resumed_as_any_other(jobs):
    machines, folder = jobs
    experiment = SMALL.experiments()[0].replace(training=SMALL.training.replace(steps=100_000))
    run = launch(experiment, folder, on=machines)
    wait_until(lambda: run.status().step >= 5 or run.status().ended, run.log_tail)
    assert run.stop().state == "stopped"
    wait_until(lambda: not queue.is_locked(run.files.sent))
    reached = run.status().step
    run.resume(on=machines)
    wait_until(lambda: run.status().step > reached or run.status().ended, run.log_tail)
    machines.close()  # what Ctrl-C does
    assert (run.status().state, run.status().step > reached) == ("stopped", True)


def test_a_worker_dies_with_the_process_that_waits_for_it(tmp_path):
    run = Run(RunDir.create(SMALL.experiments()[0], tmp_path).path)
    code = "import sys; from qtha_lab.runs.remote.registry import work_here; work_here(sys.argv[1], 1, {})"
    waiting = subprocess.Popen([sys.executable, "-c", code, str(run.path)])
    wait_until(lambda: queue.holder(run.files.lock))
    waiting.kill()
    waiting.wait()
    wait_until(lambda: not run.alive)
    assert run.status().state == "dead"


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path):
    sentence = registry.work_here(str(tmp_path / "elsewhere"), 1, {})
    assert "must share the folder of runs" in sentence


def test_a_lock_signed_on_another_machine_names_no_process_of_this_one(tmp_path):
    lock = queue.hold(tmp_path / "lock")
    queue.sign(lock, os.getpid())
    assert queue.holder(tmp_path / "lock") == os.getpid()
    (tmp_path / "lock").write_text(f"{os.getpid()} another-machine\n")
    assert queue.is_locked(tmp_path / "lock")
    assert queue.holder(tmp_path / "lock") is None  # nobody here may be signalled
    os.close(lock)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rey", "Unknown remote backend 'rey': did you mean 'ray'?"),
        ("ray(cpu=2)", "Unknown option of ray 'cpu': did you mean 'cpus'?"),
        ("ray(cpus=0)", "cpus must be at least 1, got 0"),
        ("slurm", "Slurm must be installed on this machine, got no srun."),
        (
            "ray:localhost:1",
            "A Ray cluster must respond at localhost:1, got [Errno 111] Connection refused",
        ),
    ],
)
def test_machines_that_are_not_there_are_refused_in_a_sentence(text, sentence, tmp_path):
    with pytest.raises(Refusal) as refused:
        comparison.run_comparison(SMALL, tmp_path, on=text)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list_runs(tmp_path / "runs")
