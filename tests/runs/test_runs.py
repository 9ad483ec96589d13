"""Real workers on the bundled model, really stopped and really killed."""

import calendar
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.refusals import refused
from support.run_folders import run_folder, status, write
from support.waiting import PATIENCE, wait_until

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.runs import kill
from qtha_lab.runs.launch import launch, with_absolute_paths
from qtha_lab.runs.run import Run, list_runs, load_run
from qtha_lab.training.finetune import fine_tune

QTHA = "qtha(r=3,waist=8,n_layers=2,bond_dim=2,learning_rate=0.01)"
LORA = "lora(r=2,lora_dropout=0.2,learning_rate=0.01)"
TRAINING = {
    "steps": 36, "batch_size": 3, "gradient_accumulation": 2, "max_length": 32, "train_rows": 50, "eval_rows": 9, "test_rows": 8,
    "eval_every": 10, "checkpoint_every": 8, "generate_rows": 2, "max_new_tokens": 4, "threads": 1,
}  # fmt: skip


def experiment(method, **changes):
    return Experiment(method=method, training=TRAINING | changes, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One runs folder, with two slots, for all runs of this file."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("runs")
        patch.setenv("QTHA_LAB_RUNS", str(place))
        patch.setenv("QTHA_LAB_SLOTS", "2")
        yield place
        for run in list_runs(place):
            run.stop(soft_seconds=0, term_seconds=1)


def finished(run):
    status = run.wait(PATIENCE)
    assert status.state == "finished", f"{status}\n{run.log_tail()}"
    return run


def wait_for(condition, run):
    return wait_until(condition, lambda: f"{run.status()}\n{run.log_tail()}")


@pytest.fixture(scope="module")
def straight(folder):
    """Both methods, run without a break, at the same time."""
    both = {m: experiment(m).run(folder, check=m == LORA) for m in (LORA, QTHA)}
    return {method: finished(run) for method, run in both.items()}


@pytest.fixture(scope="module")
def broken(folder, straight):
    """The same two again: LoRA stopped softly, QTHA killed without warning, then both resumed."""
    both = {method: launch(experiment(method), folder, check=False) for method in straight}
    kill = {
        LORA: both[LORA].request_stop,
        QTHA: lambda: os.killpg(queue.holder(both[QTHA].files.lock), signal.SIGKILL),
    }
    while kill:
        for method in [m for m in kill if both[m].status().step >= 10]:
            kill.pop(method)()
        time.sleep(0.02)
    seen = {method: run.wait(PATIENCE) for method, run in both.items()}
    checkpoint = both[QTHA].files.checkpoints / "checkpoint-8"
    half = both[QTHA].files.checkpoints / "checkpoint-99"
    shutil.copytree(checkpoint, half)
    (half / "complete").unlink()
    with both[QTHA].files.events.open("a") as events:
        events.write('{"kind": "train", "step": 9')
    for run in both.values():
        run.resume()
    return {method: finished(run) for method, run in both.items()}, seen


def measured(run):
    """Everything a run measured, without the clock and the memory of its process."""
    measurements = [
        e
        for e in run.valid_events()
        if e["kind"] in ("train", "eval", "test", "general", "generation")
    ]
    return sorted(
        (
            {k: v for k, v in event.items() if k not in ("t", "seconds", "memory_mib")}
            for event in measurements
        ),
        key=lambda event: (event["step"], event["kind"]),
    )


@pytest.mark.slow
def test_a_run_leaves_everything_it_promises(straight):
    run = straight[QTHA]
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "experiment.yaml", "environment.json", "events.jsonl", "worker.log", "worker.lock", "checkpoints",
        "adapter", "test.json", "summary.json", *(names & {"exit.json", ".exit.json.new"}),  # once its process is waited for
    }  # fmt: skip
    assert run.experiment == experiment(QTHA)
    environment = json.loads(run.files.environment.read_text())
    assert environment["threads"] == 1
    assert environment["packages"]["peft"]
    assert len(environment["model"]["fingerprint"]) == len(environment["task"]["fingerprint"]) == 64
    summary = run.summary
    assert summary["state"] == "finished"
    assert summary["steps"] == 36
    assert summary["seed"] == 5
    assert summary["options"]["r"] == 3
    assert summary["adapter_bytes"] > 4 * summary["trainable_parameters"]
    assert summary["peak_memory_bytes"] > 4 * summary["base_parameters"]
    assert 0 < summary["seconds_per_step"] < summary["wall_seconds"]
    for name in ("exact_match", "bleu4", "rouge1", "rouge2", "rougeL", "token_accuracy"):
        assert summary[name] >= 0


@pytest.mark.slow
def test_every_step_is_told_and_evaluations_come_when_due(straight):
    for run in straight.values():
        steps = {
            k: [e["step"] for e in run.valid_events() if e["kind"] == k] for k in ("train", "eval")
        }
        assert steps == {"train": list(range(1, 37)), "eval": [0, 10, 20, 30, 36]}
        states = [e["state"] for e in run.events()[0] if e["kind"] == "status"]
        assert states[0] == "queued"
        assert states[-1] == "finished"
        assert "loading" in states


@pytest.mark.slow
def test_both_methods_start_from_the_loss_of_the_base_model(straight):
    from qtha_lab import models, tasks
    from qtha_lab.training import evaluation

    base = models.load_model("tiny")
    task = tasks.load_task("qa", seed=5, train_rows=50, eval_rows=9)
    rows = task.encode(task.eval, base.tokenizer, 32)
    with evaluation.evaluating(base.model):
        scores = evaluation.predict(
            base.model, rows, tasks.collate(base.tokenizer), 3, lambda: None
        ).scores("lm")
    starts = [run.summary["eval_loss_start"] for run in straight.values()]
    assert starts[0] == starts[1]
    assert starts[0] == pytest.approx(scores["loss"], rel=1e-6)


@pytest.mark.slow
def test_training_lowers_the_loss(straight):
    for run in straight.values():
        losses = [e["loss"] for e in run.valid_events() if e["kind"] == "train"]
        assert sum(losses[-6:]) / 6 < sum(losses[:6]) / 6 - 0.2


@pytest.mark.slow
def test_a_soft_stop_finishes_the_step_and_saves_it(broken):
    _, seen = broken
    assert seen[LORA].state == "stopped"
    assert 10 <= seen[LORA].step < 36
    assert f"stopped at step {seen[LORA].step} of 36" in seen[LORA].message


@pytest.mark.slow
def test_a_killed_worker_is_told_dead(broken):
    _, seen = broken
    assert seen[QTHA].state == "dead"
    assert seen[QTHA].message == "killed by the system (SIGKILL): out of memory?"


@pytest.mark.slow
@pytest.mark.parametrize("method", [LORA, QTHA])
def test_a_resumed_run_repeats_an_uninterrupted_one_bit_for_bit(straight, broken, method):
    resumed, _ = broken
    assert measured(resumed[method]) == measured(straight[method])
    name = "adapter/adapter_model.safetensors"
    assert (resumed[method].path / name).read_bytes() == (straight[method].path / name).read_bytes()
    volatile = {"run_id", "seconds_per_step", "wall_seconds", "peak_memory_bytes"}
    assert {k: v for k, v in resumed[method].summary.items() if k not in volatile} == {
        k: v for k, v in straight[method].summary.items() if k not in volatile
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "stories"), [(LORA, [(5,), (17,)]), (QTHA, [(10,), (27,), (6, 9, 12)])]
)
def test_a_stop_at_any_moment_changes_nothing_in_the_end(method, stories, tmp_path):
    # in this process: asked to stop at its n-th look at the stop request, then resumed
    training = TRAINING | {"steps": 9, "train_rows": 14, "eval_every": 3, "checkpoint_every": 4}
    described = Experiment(method=method, training=training, seed=3)

    def story(*looks):
        files = RunDir.create(described, tmp_path)
        for most in (*looks, 10**9):
            asked, log = itertools.count(), EventLog(files.events)
            outcome = fine_tune(files, log, lambda asked=asked, most=most: next(asked) >= most, 1)
            log.close()
        assert outcome.state == "finished"
        return measured(Run(files.path))

    straight = story()
    # 5, 10, 17 and 27 are in the evaluations at 0, 3 and 9 and in the answers, or near them
    for looks in stories:
        assert story(*looks) == straight, looks


@pytest.mark.slow
def test_a_half_written_checkpoint_is_ignored_and_removed(broken):
    resumed, _ = broken
    assert [e["step"] for e in resumed[QTHA].events()[0] if e["kind"] == "status"].count(99) == 0
    assert not (resumed[QTHA].files.checkpoints / "checkpoint-99").exists()


@pytest.mark.slow
def test_no_base_weight_is_ever_written(straight):
    for run in straight.values():
        tensors = [p for p in run.path.rglob("*") if p.suffix in (".safetensors", ".bin", ".pt")]
        base = run.summary["base_parameters"]
        assert all(path.stat().st_size < base / 10 for path in tensors), tensors


@pytest.mark.slow
def test_the_adapter_can_be_loaded_and_gives_the_loss_it_was_left_with(straight):
    from qtha_lab import adapters, models, tasks
    from qtha_lab.training import evaluation

    run = straight[QTHA]
    base = models.load_model("tiny")
    model = adapters.load_adapter(base.model, run.files.adapter)
    task = tasks.load_task("qa", seed=5, train_rows=50, eval_rows=9)
    rows = task.encode(task.eval, base.tokenizer, 32)
    with evaluation.evaluating(model):
        scores = evaluation.predict(
            model, rows, tasks.collate(base.tokenizer), 3, lambda: None
        ).scores("lm")
    assert scores["loss"] == pytest.approx(run.summary["eval_loss"], rel=1e-5)
    card = (run.files.adapter / "README.md").read_text()
    assert f"| eval loss | {run.summary['eval_loss']:.4g} |" in card
    assert 'load_adapter(load_model("tiny").model, FOLDER)' in card
    described = json.loads((run.files.adapter / "adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == "tiny"
    assert described["target_modules"] == ["q_proj", "v_proj"]  # in any process
    assert str(run.path.parent) not in run.files.summary.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("method", [LORA, QTHA])
def test_the_updates_spectra_are_recorded_from_start_to_end(straight, method):
    events = read_events(straight[method].files.events)[0]
    spectra = {e["step"]: e["layers"] for e in events if e["kind"] == "spectrum"}
    assert {0, 36} <= set(spectra)
    starts, ends = ([row["singular_values"] for row in spectra[step].values()] for step in (0, 36))
    assert all(value == 0 for values in starts for value in values)  # no change at the start
    assert all(values[0] > 0 for values in ends)
    config = straight[method].experiment.method.options
    assert all(len(values) <= config.get("r", 8) for values in ends)


@pytest.mark.slow
def test_a_finished_run_has_nothing_to_resume(straight):
    with pytest.raises(ValueError, match="with all 36 steps finished"):
        straight[LORA].resume()


@pytest.mark.slow
def test_a_loss_or_gradient_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint(
    folder,
):
    # warm-up over 4 of 8 steps: step 1 at rate 0, step 2 at 2.5e29, times alpha / r > 1e14: past float32
    method = "lora(lora_alpha=1000000000000000,learning_rate=1e30)"
    changes = {"steps": 8, "warmup_fraction": 0.5, "checkpoint_every": 1, "max_grad_norm": 0}
    run = launch(experiment(method, spectrum_every=0, **changes), folder)
    status = run.wait(PATIENCE)
    assert status.state == "diverged", run.log_tail()
    assert "is nan at step 3; checkpoint 1 is the last good one" in status.message
    assert [p.name for p in run.files.checkpoints.iterdir()] == ["checkpoint-1"]
    train = [event for event in run.events()[0] if event["kind"] == "train"]
    assert [None in event.values() for event in train] == [False, False, True]
    assert "NaN" not in run.files.events.read_text() + run.files.summary.read_text()
    assert run.summary["state"] == "diverged"
    run.resume()
    again = run.wait(PATIENCE)
    assert (again.state, again.message) == ("diverged", status.message)
    assert not [event for event in run.events()[0] if event["kind"] == "note"]


@pytest.mark.slow
def test_the_loss_told_is_the_mean_over_all_tokens_of_the_step(folder):
    # 6 rows make exactly one step of 2 batches of 3; the adapter's start changes nothing
    from qtha_lab import models, tasks
    from qtha_lab.training import evaluation

    run = finished(
        launch(
            experiment("lora", steps=1, train_rows=6, max_length=128, generate_rows=0),
            folder,
            check=False,
        )
    )
    base = models.load_model("tiny")
    rows = tasks.load_task("qa", seed=5, train_rows=6, eval_rows=9).train
    encoded = tasks.load_task("qa", seed=5).encode(rows, base.tokenizer, 128)
    lengths = {sum(label != -100 for label in row["labels"]) for row in encoded}
    assert len(encoded) == 6
    assert len(lengths) > 1, "rows of one length could not tell the two means apart"
    with evaluation.evaluating(base.model):
        scores = evaluation.predict(
            base.model, encoded, tasks.collate(base.tokenizer), 6, lambda: None
        ).scores("lm")
    (loss,) = [event["loss"] for event in run.valid_events() if event["kind"] == "train"]
    assert loss == pytest.approx(scores["loss"], rel=1e-5)


@pytest.mark.slow
def test_classification_trains_a_head_in_bfloat16_with_activations_recomputed(folder):
    changes = {
        "steps": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "train_rows": None,
    }
    described = experiment(QTHA, **changes).replace(task="supersense")
    run = finished(launch(described, folder, check=False))
    summary = run.summary
    assert 0 <= summary["macro_f1"] <= summary["accuracy"] + 1
    steps = [e for e in run.valid_events() if e["kind"] == "train"]
    assert all(e["grad_norm"] > 0 for e in steps)
    assert all(e["memory_mib"] > summary["head_parameters"] * 4 / 2**20 for e in steps)
    assert summary["head_parameters"] == 192 * 41 == 7872
    assert "exact_match" not in summary
    from safetensors.torch import load_file

    saved = load_file(run.files.adapter / "adapter_model.safetensors")
    assert {tensor.dtype.itemsize for tensor in saved.values()} == {4}
    assert any("score" in name for name in saved)


@pytest.mark.slow
def test_a_worker_that_fails_says_why_in_one_sentence(folder):
    run = launch(Experiment(model="tinny"), folder, check=False)
    status = run.wait(PATIENCE)
    assert status.state == "failed"
    assert status.message.startswith("Unknown model 'tinny': did you mean 'tiny'?")
    assert "Traceback" in run.log_tail(200)


# ---- what needs no torch: workers that wait for a slot ----


@pytest.fixture
def queued(tmp_path, monkeypatch):
    """A run whose worker waits, because this test holds the only slot."""
    monkeypatch.setenv("QTHA_LAB_SLOTS", "1")
    place = Path(os.environ["QTHA_LAB_RUNS"])
    (place / ".slots").mkdir(parents=True)
    slot = queue.hold(place / ".slots" / "0")
    run = launch(experiment(LORA), check=False)
    wait_for(lambda: "waiting" in run.status().message, run)
    yield run
    run.stop(soft_seconds=0, term_seconds=0)
    os.close(slot)


def test_launch_returns_while_the_worker_waits_for_a_slot(queued):
    assert queued.status().state == "queued"
    assert queued.status().message == "waiting for one of 1 slots"
    assert queued.wait(timeout=0.2).state == "queued"


def test_a_waiting_run_can_be_stopped_and_its_directory_is_left_alone(queued):
    assert queued.stop().state == "stopped"
    assert queued.summary is None
    wait_for(lambda: not queued.alive, queued)
    assert load_run(queued.id).status().message == "stopped while it waited for a slot"


def test_sigterm_stops_as_softly_as_the_stop_file(queued):
    os.kill(queue.holder(queued.files.lock), signal.SIGTERM)
    assert queued.wait(PATIENCE).state == "stopped"


def test_a_worker_that_ends_while_its_status_is_read_is_not_called_dead(queued, monkeypatch):
    is_held = Run.alive.fget

    def held_for_the_last_time(run):
        held = is_held(run)
        if held:
            os.kill(queue.holder(run.files.lock), signal.SIGTERM)
            wait_for(lambda: not is_held(run), run)
        return held

    monkeypatch.setattr(Run, "alive", property(held_for_the_last_time))
    assert queued.status().state == "queued"
    assert queued.status().state == "stopped"


def test_a_worker_that_does_not_answer_is_killed_with_its_group(queued):
    pid = queue.holder(queued.files.lock)
    os.kill(pid, signal.SIGSTOP)
    status = queued.stop(soft_seconds=0.2, term_seconds=0.2)
    assert status.state == "stopped"
    assert status.message == "killed after not answering for 0.4 s"
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), queued)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "killed by the system (SIGKILL): out of memory?"),
        (signal.SIGSEGV, "the worker died of SIGSEGV: Fatal Python error: Segmentation fault; details in {log}"),
    ],
    ids=["SIGKILL", "SIGSEGV"],
)  # fmt: skip
def test_the_signal_that_ended_a_worker_is_told(queued, number, message):
    os.kill(queue.holder(queued.files.lock), number)
    status = queued.wait(PATIENCE)
    assert (status.state, status.message) == ("dead", message.format(log=queued.files.log))


def test_a_crash_is_told_from_the_log_alone_and_only_of_the_last_worker(queued):
    os.kill(queue.holder(queued.files.lock), signal.SIGSEGV)
    wait_for(lambda: queued.status().ended, queued)
    (queued.path / "exit.json").unlink()  # as if the launching process had gone before
    assert queued.status().message.startswith("the worker died: Fatal Python error: Segmentation")
    queued.resume()
    wait_for(lambda: "waiting" in queued.status().message, queued)
    os.kill(queue.holder(queued.files.lock), signal.SIGKILL)
    assert queued.wait(PATIENCE).message == "killed by the system (SIGKILL): out of memory?"


def test_a_second_worker_on_one_run_is_refused(queued):
    with refused("A resumed run", " which is queued"):
        queued.resume()
    second = subprocess.run(
        [sys.executable, "-m", "qtha_lab.runs.worker", str(queued.path)],
        capture_output=True,
        text=True,
    )
    assert second.returncode == 2
    pid = queue.holder(queued.files.lock)
    assert second.stderr.strip() == f"a worker is already at {queued.path} (process {pid})"
    assert queued.status().state == "queued"


@pytest.mark.slow
def test_a_run_that_another_process_holds_is_not_resumed(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), status("stopped", 1))
    before = run.files.events.read_bytes()
    lock = queue.hold(run.files.lock)
    with pytest.raises(Refusal, match="must have one worker, got a second one"):
        run.resume()
    os.close(lock)
    assert run.files.events.read_bytes() == before


def test_a_number_left_in_a_lock_file_never_gets_a_stranger_killed(queued):
    queued.stop()
    wait_for(lambda: not queued.alive, queued)
    log = EventLog(queued.files.events)
    log.append("status", state="running", step=3, message="")
    log.close()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        queued.files.lock.write_text(f"{stranger.pid}\n")
        assert queued.status().state == "dead"
        queued.stop(soft_seconds=0, term_seconds=0)
        kill.send_signal(queued.files, signal.SIGKILL)
        assert stranger.poll() is None
        stranger.kill()


def test_runs_are_listed_newest_first_and_other_folders_passed_over(tmp_path):
    names = [RunDir.create(experiment(m), tmp_path).path.name for m in (LORA, QTHA)]
    (tmp_path / "something else").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "experiment.yaml").write_text("nothing: experiment")
    (tmp_path / "file.txt").write_text("")
    assert [run.id for run in list_runs(tmp_path)] == sorted(names, reverse=True)
    broken, *whole = list_runs(tmp_path, unreadable=True)
    assert [run.id for run in whole] == sorted(names, reverse=True)
    assert (broken.id, broken.status().state) == ("broken", "unreadable")
    assert "Unknown experiment setting 'nothing'" in broken.status().message
    assert list_runs(tmp_path / "nowhere") == []


def test_a_run_is_found_by_its_id_and_by_its_path(tmp_path):
    run = RunDir.create(experiment(LORA), tmp_path)
    assert load_run(run.path.name, tmp_path).path == run.path
    assert load_run(run.path).id == run.path.name
    wrong = run.path.name[:-1] + "x"
    with pytest.raises(
        ValueError, match=f"Unknown run '{wrong}' in .*: did you mean '{run.path.name}'"
    ):
        load_run(wrong, tmp_path)
    with pytest.raises(ValueError, match="it holds 0 runs"):
        load_run("any", tmp_path / "empty")


def test_a_run_id_reads_as_what_it_is():
    described = Experiment(
        model="./models/My Model", task="data/my.jsonl", method="qtha(r=4)", seed=3
    )
    from qtha_lab.experiment.run_directory.files import run_id

    date, clock, model, task, method, seed, tag = run_id(described).split("-")
    assert (len(date), len(clock), len(tag)) == (8, 6, 4)
    assert (model, task, method, seed) == ("My_Model", "my", "qtha", "s3")


def test_a_run_id_is_in_utc_so_that_it_sorts_by_time(monkeypatch):
    from qtha_lab.experiment.run_directory.files import run_id

    before = time.time()
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    seconds = calendar.timegm(time.strptime(run_id(Experiment())[:15], "%Y%m%d-%H%M%S"))
    monkeypatch.undo()
    time.tzset()
    assert int(before) <= seconds <= time.time()


def test_a_full_disk_is_said_in_plain_words(tmp_path):
    from qtha_lab.experiment.run_directory.files import check_disk_space

    check_disk_space(tmp_path)
    with refused("The disk of", rule="MiB free"):
        check_disk_space(tmp_path, needed=2**80)


def test_a_run_beside_a_runs_folder_that_cannot_be_written_to_takes_a_slot(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "file" / "runs"))
    run = launch(Experiment(model="tinny"), tmp_path / "out", check=False)
    assert run.wait(PATIENCE).message.startswith("Unknown model 'tinny'")  # past the queue
    assert (tmp_path / "out" / ".slots" / "queue").is_dir()


def test_a_directory_that_is_no_run_is_refused_by_the_worker(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "qtha_lab.runs.worker", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "is not a run directory: it has no experiment.yaml" in result.stderr


def test_a_refused_experiment_leaves_no_directory_behind(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'qtha'"):
        launch(Experiment(method="qhta"), tmp_path / "runs")
    assert list_runs(tmp_path / "runs") == []


def test_paths_are_made_whole_so_that_a_run_can_go_on_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "my.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    assert with_absolute_paths(Experiment(task="my.jsonl")).task == str(tmp_path / "my.jsonl")
    assert with_absolute_paths(Experiment()) == Experiment()
