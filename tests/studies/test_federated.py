"""Federations against what they must equal: an ordinary run, a central step.

And that breaks lose nothing.
"""

import contextlib
import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.command_line import LONG, PAGE, check_narrow, headings
from support.refusals import refused

from qtha_lab import federate
from qtha_lab.cli import main
from qtha_lab.cli.federate import print_runs
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment, Federation
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.figures import loss_against_bytes
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.federated import average, federate_on_flower
from qtha_lab.tasks import load_task
from qtha_lab.tasks.client_shards import ClientShare, partition
from qtha_lab.training.finetune import fine_tune

SMALL = {
    "batch_size": 2,
    "train_rows": 24,
    "eval_rows": 4,
    "test_rows": 4,
    "generate_rows": 0,
    "max_length": 32,
    "spectrum_every": 0,
    "threads": 1,
}
SGD = {
    "optimizer": "sgd",
    "schedule": "constant",
    "warmup_fraction": 0.0,
    "max_grad_norm": 0.0,
    "steps": 1,
    "train_rows": 8,
    "head_learning_rate": None,
}


def described(**changes):
    training = SMALL | {"steps": 4, "eval_every": 2} | changes.pop("training", {})
    fields = {"methods": "lora(r=1)", "clients": 2, "rounds": 2} | changes
    return Federation(training=training, **fields)


def alone(experiment, folder):
    """The ordinary run of an experiment, trained in this process."""
    files = RunDir.create(experiment, folder)
    log = EventLog(files.events)
    outcome = fine_tune(files, log, lambda: False, 1)
    log.append("status", state=outcome.state, step=outcome.step, message=outcome.message)
    log.close()
    return Run(files.path)


def tensors(run):
    return load_file(run.path / "adapter" / "adapter_model.safetensors")


def losses(run, kind):
    return {e["step"]: e["loss"] for e in run.valid_events() if e["kind"] == kind}


def client(run, number):
    return Run(run.path / "clients" / str(number))


def server(out):
    (run,) = list_runs(out / "runs")
    return run


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A federation of two unequal clients, its summary and its folder."""
    out = tmp_path_factory.mktemp("two")
    return federate(described(split="dirichlet(1.0)"), out), out


# known answers


@pytest.mark.slow
def test_one_client_is_an_ordinary_run_bit_for_bit(tmp_path):
    one = described(clients=1, methods="qpa(r=1,chunk=256)")
    federate(one, tmp_path / "one")
    federated = server(tmp_path / "one")
    ordinary = alone(federated.experiment, tmp_path / "runs")
    for name, tensor in tensors(ordinary).items():
        assert torch.equal(tensors(federated)[name], tensor), name
        assert torch.equal(tensors(client(federated, 1))[name], tensor), name
    for kind in ("train", "eval", "test"):
        assert losses(federated, kind) == losses(ordinary, kind), kind
        assert losses(client(federated, 1), kind) == losses(ordinary, kind), kind


@pytest.mark.slow
def test_one_sgd_step_on_equal_shares_is_the_central_step(tmp_path):
    # the loss of a batch of labels is a mean over rows, so the mean of two means of 4 is the mean
    # of 8
    task = {"task": "supersense", "methods": "lora(r=1,learning_rate=0.1)", "rounds": 1}
    shares = described(**task, training=SGD | {"batch_size": 4})
    federate(shares, tmp_path / "two")
    whole = server(tmp_path / "two").experiment
    central = whole.replace(training=whole.training.replace(batch_size=8))
    start = load_file(server(tmp_path / "two").path / "rounds" / "0" / "adapter_model.safetensors")
    for name, tensor in tensors(alone(central, tmp_path / "runs")).items():
        averaged = tensors(server(tmp_path / "two"))[name]
        torch.testing.assert_close(averaged, tensor, atol=1e-7, rtol=1e-4)
        if "lora_B" in name:
            assert not torch.equal(averaged, start[name])


@pytest.mark.slow
def test_the_server_has_the_mean_of_its_clients_weighted_by_their_rows(two):
    _, out = two
    run = server(out)
    rows = [
        len(json.loads((client(run, n).path / "test.json").read_text())["items"]) for n in (1, 2)
    ]
    assert rows == [4, 4]  # the test rows are everybody's
    task = load_task("qa", seed=0, train_rows=24, eval_rows=4, test_rows=4)
    n = [len(part) for part in partition(task, 2, 1.0, seed=0)]
    assert n[0] != n[1]
    for name, tensor in tensors(run).items():
        first, second = (tensors(client(run, number))[name].double() for number in (1, 2))
        expected = (n[0] * first + n[1] * second) / sum(n)
        torch.testing.assert_close(tensor, expected.float())


def test_bytes_are_four_for_every_trained_number_both_ways(two):
    summary, _ = two
    (entry,) = summary["runs"]
    # two clients; up twice, down once, since the start is drawn from the seed
    assert [r["bytes_sent"] for r in entry["rounds"]] == [
        0, 2 * 4 * entry["trainable_parameters"], 2 * 4 * entry["trainable_parameters"] * 3,
    ]  # fmt: skip
    courses: list[Any] = [{n: entry[n] for n in ("label", "seed", "rounds")}]
    figure = loss_against_bytes(courses)
    assert f"{24 * entry['trainable_parameters']:,} bytes" in figure.alt


def test_all_runs_are_ordinary_ones(two):
    _, out = two
    run = server(out)
    for each in (run, client(run, 1), client(run, 2)):
        assert each.status().state == "finished"
        assert each.record.flaw is None
        assert set(losses(each, "train")) == {1, 2, 3, 4}
    assert client(run, 2).experiment.training.share == "2/2 dirichlet(1.0)"


@pytest.mark.slow
def test_a_pull_to_the_shared_adapter_keeps_clients_nearer_to_it(tmp_path):
    ends = {}
    for proximal in (0.0, 30.0):
        changes = {"rounds": 1, "methods": "lora(r=1,learning_rate=0.03)", "proximal": proximal}
        federate(described(**changes, training=SGD | {"steps": 4}), tmp_path / f"{proximal}")
        run = server(tmp_path / f"{proximal}")
        start = load_file(run.path / "rounds" / "0" / "adapter_model.safetensors")
        end = tensors(client(run, 1))
        ends[proximal] = sum((end[n] - start[n]).square().sum().item() for n in start) ** 0.5
    assert 0 < ends[30.0] < ends[0.0]


# breaks


@pytest.mark.slow
def test_what_was_broken_off_goes_on_with_the_same_bits(two, tmp_path):
    _, out = two
    turns = []

    def break_off(run, status):
        turns.append(status.message)
        if status.message == "round 2 of 2, client 2 of 2":
            raise KeyboardInterrupt

    federation = described(split="dirichlet(1.0)")
    with pytest.raises(KeyboardInterrupt):
        federate(federation, tmp_path, break_off)
    run = server(tmp_path)
    assert run.status().state == "stopped"
    before = client(run, 1).path.joinpath("events.jsonl").stat().st_size
    federate(federation, tmp_path)
    assert client(run, 1).path.joinpath("events.jsonl").stat().st_size == before  # had finished
    for name, tensor in tensors(server(out)).items():
        assert torch.equal(tensors(run)[name], tensor), name
    for kind in ("train", "eval", "test"):
        assert losses(run, kind) == losses(server(out), kind)


@pytest.mark.slow
def test_killed_in_the_middle_of_a_turn_it_goes_on_with_the_same_bits(two, tmp_path):
    _, out = two
    federation = described(split="dirichlet(1.0)")
    (tmp_path / "f.yaml").write_text(federation.to_yaml())
    code = (
        "from qtha_lab.runs.worker import use_threads; use_threads(1); from qtha_lab import *; "
        f"federate(Federation.from_yaml({str(tmp_path / 'f.yaml')!r}), {str(tmp_path / 'out')!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(ValueError):
            if 3 in losses(client(server(tmp_path / "out"), 1), "train"):
                break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run = server(tmp_path / "out")
    assert run.status().state == "dead"
    federate(federation, tmp_path / "out")
    for name, tensor in tensors(server(out)).items():
        assert torch.equal(tensors(run)[name], tensor), name
    assert losses(run, "train") == losses(server(out), "train")


# shares


@pytest.mark.parametrize("text", ["1/" + "9" * 5000, "8/3", "0/3", "3/8 none"])
def test_a_share_that_no_client_holds_is_refused(text):
    with pytest.raises(Refusal, match="must") as record:
        ClientShare.parse(text)
    assert len(str(record.value)) <= 300


@pytest.mark.parametrize("split", ["equal", "dirichlet(0.3)"])
def test_every_row_goes_to_one_client(split):
    task = load_task("supersense", train_rows=500)
    alpha = None if split == "equal" else 0.3
    parts = partition(task, 8, alpha, seed=3)
    assert sorted(place for part in parts for place in part) == list(range(500))
    assert parts == partition(task, 8, alpha, seed=3)
    third = ClientShare.parse("3/8" if split == "equal" else f"3/8 {split}").of(task, seed=3)
    assert third.train == [task.train[place] for place in parts[2]]
    assert (third.eval, third.test, third.labels) == (task.eval, task.test, task.labels)


def test_a_small_alpha_gives_clients_few_labels():
    task = load_task("supersense", train_rows=1000)

    def labels_of_clients(alpha):
        parts = partition(task, 4, alpha, seed=0)
        return [len({task.train[place]["label"] for place in part}) for part in parts]

    assert max(labels_of_clients(0.05)) < min(labels_of_clients(100.0))


def test_angles_may_be_averaged_as_directions():
    near_pi = [
        {"layer.qpa_params": torch.tensor([3.0])},
        {"layer.qpa_params": torch.tensor([-3.0])},
    ]
    assert average(near_pi, [1, 1])["layer.qpa_params"].item() == 0
    circular = average(near_pi, [1, 1], "circular")["layer.qpa_params"].item()
    assert abs(circular) == pytest.approx(torch.pi, abs=1e-6)
    others = [{"layer.B": torch.tensor([3.0])}, {"layer.B": torch.tensor([-3.0])}]
    assert average(others, [1, 1], "circular")["layer.B"].item() == 0


def test_what_nobody_changed_stays_to_the_bit():
    state = {"start": torch.randn(7)}
    mean = average([state, dict(state), dict(state)], rows=[3, 5, 11])
    assert torch.equal(mean["start"], state["start"])


# refusals


@pytest.mark.parametrize(
    ("changes", "setting", "value"),
    [
        ({"rounds": 3}, "steps", "4"),
        (
            {"split": "dirichlet(0)"},
            "split: split",
            "'dirichlet(0)'",
        ),
        ({"split": "by label"}, "split: split", "'by label'"),
        ({"clients": 0}, "clients", "0"),
        ({"training": {"share": "1/2"}}, "share", "1/2. split sets it"),
        ({"training": {"teacher": "a-run"}}, "teacher", "a-run"),
        ({"training": {"share": "5/2"}}, "training.share: share", "'5/2'"),
    ],
)
def test_impossible_federations_are_refused(changes, setting, value):
    with refused(setting, value):
        described(**changes)


def test_clients_without_rows_are_refused_before_anything_starts(tmp_path):
    with refused("No row", rule="16 clients by dirichlet"):
        federate(described(clients=16, split="dirichlet(0.01)"), tmp_path)
    with refused("No row", rule="25, 26 of 26 clients by equal shares of 24"):
        federate(described(clients=26), tmp_path)
    assert not (tmp_path / "federation.yaml").exists()


def test_another_federation_is_not_laid_over_one(two):
    _, out = two
    with refused("The folder", str(out), rule="new or hold this federation"):
        federate(described(clients=1), out)


def test_a_start_that_reads_rows_is_refused():
    with refused("methods", "qtha_gradient(r=2)"):
        described(methods="qtha_gradient(r=2)").check()


# forms


@pytest.mark.slow
def test_the_table_of_the_command_fits_80_characters(two, capsys, monkeypatch):
    outputs = []
    for columns in (PAGE, LONG):
        monkeypatch.setenv("COLUMNS", str(columns))
        print_runs(two[0])
        outputs.append(capsys.readouterr().out)
    check_narrow(*outputs)
    assert len(headings(outputs[0])) == len(headings(outputs[1])) == 7


def test_yaml_python_and_command_say_the_same(capsys, monkeypatch):
    federation = described(split="dirichlet(0.3)", proximal=0.1, seeds=[0, 1])
    assert Federation.from_yaml(federation.to_yaml()) == federation
    assert "summary = federate(federation" in federation.to_python()
    command = federation.to_command()
    assert "--split 'dirichlet(0.3)'" in command
    words = [
        "federate",
        "--dry-run",
        "--split",
        "dirichlet(0.3)",
        "--proximal",
        "0.1",
        "--seeds",
        "0,1",
        "--methods",
        "lora(r=1)",
        "--clients",
        "2",
        "--rounds",
        "2",
        "--steps",
        "4",
        "--eval-every",
        "2",
    ]
    for name, value in SMALL.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    monkeypatch.setattr(sys, "argv", ["qtha-lab", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert Federation.from_yaml(capsys.readouterr().out) == federation


def test_an_experiment_may_have_a_share_by_itself():
    experiment = Experiment(training={"share": "2/3 dirichlet(0.3)"})
    assert "--share '2/3 dirichlet(0.3)'" in experiment.to_command()


# through Flower


def test_without_flower_the_command_says_how_it_is_installed(capsys, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "flwr" else find(n, *a)
    )
    with refused("A federation on Flower", 'pip install "qtha-lab[federated]"'):
        federate_on_flower(described())
    monkeypatch.setattr("sys.argv", ["qtha-lab", "federate", "--on", "flower", "--dry-run"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code
    assert "without flwr" in capsys.readouterr().err


def test_flower_averages_no_directions(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with refused("angles", "circular"):
        federate_on_flower(described(angles="circular"))


@pytest.mark.slow
def test_flower_gives_the_numbers_of_the_plain_loop(two, tmp_path):
    pytest.importorskip("flwr")
    plain, folder = two
    summary = federate_on_flower(described(split="dirichlet(1.0)"), tmp_path)
    for number in (1, 2):
        ours, theirs = (
            load_file(next(place.glob(f"runs/*/rounds/{number}/adapter_model.safetensors")))
            for place in (folder, tmp_path)
        )
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, rtol=1e-5, atol=1e-7)
    losses = [[run["eval_loss"] for run in s["runs"]] for s in (summary, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
