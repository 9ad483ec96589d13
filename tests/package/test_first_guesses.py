"""Names that a newcomer guesses first exist and do what is expected."""

import os
import subprocess
import sys

import pytest
import torch
from support.trained_runs import finished
from typer.testing import CliRunner

import qtha_lab
from qtha_lab.cli import load_commands
from qtha_lab.core.errors import Refusal
from qtha_lab.runs.run import Run

ONE_LINERS = """
"qtha" in qtha_lab.list_methods()
"tiny" in qtha_lab.list_models()
"qa" in qtha_lab.list_tasks()
"auto" in qtha_lab.list_engines()
"qtha" in qtha_lab.list_ansatze()
qtha_lab.list_runs()[0].id == run.id
qtha_lab.load_run(run.id).state == "finished"
qtha_lab.load_task("qa").train[0]
qtha_lab.runs_table()["method"][0] == "lora"
qtha_lab.runs_table("state == 'finished' and steps > 1")["run"][0] == run.id
run.state == "finished"
run.name == "first"
run.id != run.name
run.config["training"]["steps"] == 2
run.experiment.training.steps == 2
run.experiment.training.eval_every == 1
run.history()["train_loss"].notna().sum() == 2
list(run.history()["step"]) == [0, 1, 2]
run.summary["eval_loss"] > 0
run.plot().alt.startswith("Evaluation loss")
len(list(run.load())) == 2
isinstance(run.generate("How are you?", max_new_tokens=2), str)
qtha_lab.figures.loss_curves([run]).table.rows
qtha_lab.figures.spectra(run).alt.startswith("Singular values")
qtha_lab.analysis.spectrum(run)["model.layers.0.self_attn.q_proj"].effective_rank >= 1
qtha_lab.Experiment(steps=5).training.steps == 5
qtha_lab.Experiment(method="lora", learning_rate=0.01).method.learning_rate == 0.01
qtha_lab.Experiment(steps=5, eval_every=1) == qtha_lab.Experiment(training={"steps": 5, "eval_every": 1})
qtha_lab.Experiment.from_yaml("steps: 5\\nmodel: tiny") == qtha_lab.Experiment(steps=5)
qtha_lab.Comparison(methods=["lora", "qtha"], steps=5).training.steps == 5
qtha_lab.Sweep(methods="lora", axes={"weight_decay": [0, 0.1]}).axes
qtha_lab.Training(weight_decay=0.1).weight_decay == 0.1
qtha_lab.Training(patience=3).patience == 3
qtha_lab.Training(objective=qtha_lab.Reinforce(samples=8)).objective.samples == 8
qtha_lab.Training(objective=qtha_lab.Distillation(teacher=run.id)).teacher == run.id
qtha_lab.Training(phases=[qtha_lab.Phase(steps=40), qtha_lab.Phase(steps=60, train=["B"])]).phases[1].steps == 60
qtha_lab.QthaConfig(r=4).r == 4
qtha_lab.Gate("RY", 0, qtha_lab.Angle.input(0)).wires == (0,)
qtha_lab.Workbench.__name__ == "Workbench"
qtha_lab.ansatze.build("qtha", 4, 2).n_qubits == 4
qtha_lab.ansatze.qtha(4, 2).n_qubits == 4
callable(qtha_lab.compare) and callable(qtha_lab.compare.summarise) and callable(qtha_lab.compare.run)
qtha_lab.preview(qtha_lab.Experiment(method="lora")).trainable_parameters > 0
qtha_lab.load_run(run.id).summary["eval_loss"] == run.summary["eval_loss"]
qtha_lab.load_run(run.path).load().generate("How are you?", max_new_tokens=2) is not None
qtha_lab.get_method("lora").name == "lora"
isinstance(run, qtha_lab.Run) and run.experiment.method.name == "lora"
setattr(run, "tags", ["best"]) or qtha_lab.load_run(run.id).tags == ("best",)
setattr(run, "note", "the first") or qtha_lab.load_run(run.id).note == "the first"
setattr(run, "name", "first") or qtha_lab.load_run(run.id).name == "first"
callable(run.delete) and callable(run.stop) and callable(run.resume)
callable(qtha_lab.Experiment().run)
callable(qtha_lab.Comparison(methods="lora,qtha").run)
callable(qtha_lab.Sweep(methods="lora", axes={"learning_rate": [0.01]}).run)
callable(qtha_lab.Federation(methods="lora", clients=2).run)
callable(qtha_lab.CircuitSearch(steps=40).run)
run.history()["eval_loss"].min() > 0
qtha_lab.Experiment(steps=5).replace(seed=1).training.steps == 5
qtha_lab.circuits.Circuit is qtha_lab.Circuit
"OPENQASM" in CIRCUIT.to_qasm()
"RY" in CIRCUIT.draw()
hasattr(CIRCUIT, "to_qiskit") and hasattr(CIRCUIT, "to_pennylane")
qtha_lab.QuantumLayer(n_qubits=4, n_layers=2)(torch.rand(3, 4)).shape == (3, 4)
qtha_lab.MPO.from_matrix(torch.eye(16), bond_dim=8).dense().shape == (16, 16)
"Experiment" in dir(qtha_lab)
""".strip().splitlines()
CIRCUIT = qtha_lab.Circuit(1, [qtha_lab.Gate("RY", 0, qtha_lab.Angle.input(0))])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps."""
    folder = tmp_path_factory.mktemp("runs")
    described = qtha_lab.Experiment(
        method="lora(r=2)", name="first", steps=2, batch_size=2, max_length=24, eval_every=1,
        train_rows=8, eval_rows=2, test_rows=2, generate_rows=0, threads=1, spectrum_every=1,
    )  # fmt: skip
    return Run(finished(described, folder).path)


@pytest.mark.parametrize("line", ONE_LINERS)
def test_an_obvious_line_runs_and_holds(line, run, monkeypatch):
    monkeypatch.setitem(os.environ, "QTHA_LAB_RUNS", str(run.path.parent))
    value = eval(line, {"qtha_lab": qtha_lab, "run": run, "torch": torch, "CIRCUIT": CIRCUIT})
    assert value is not False
    assert value is not None


def test_there_are_enough_obvious_lines():
    assert len(set(ONE_LINERS)) >= 40


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"stepz": 5}, "Unknown experiment setting 'stepz': did you mean 'steps'"),
        ({"evalevery": 5}, "did you mean 'eval_every'"),
        ({"r": 4}, r"Write method='qtha\(r=4\)'"),
        ({"training": {"stepz": 5}}, "Unknown training setting 'stepz': did you mean 'steps'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 5, "training": {"steps": 4}}, "steps must be given once, got 5"),
    ],
)
def test_an_unknown_setting_is_answered_with_the_nearest_wherever_it_lives(settings, sentence):
    with pytest.raises(Refusal, match=sentence):
        qtha_lab.Experiment(**settings)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'list_method'\. Did you mean 'list_m"):
        _ = qtha_lab.list_method


@pytest.mark.parametrize(
    ("function", "member"),
    [
        (qtha_lab.list_methods, "qtha"),
        (qtha_lab.list_models, "tiny"),
        (qtha_lab.list_tasks, "qa"),
        (qtha_lab.list_engines, "auto"),
        (qtha_lab.list_ansatze, "qtha"),
    ],
)
def test_members_are_listed(function, member):
    assert member in [*function()]


def test_a_model_unpacks_into_model_and_tokenizer():
    model, tokenizer = qtha_lab.load_model("tiny")
    assert model.config.vocab_size >= len(tokenizer)


def test_every_own_config_is_at_the_top():
    from qtha_lab.adapters import get_method

    own = [get_method(name) for name in qtha_lab.list_methods() if get_method(name).ours]
    names = [name for name in qtha_lab.__all__ if name.endswith("Config")]
    assert sorted(names) == sorted(method.config_class.__name__ for method in own)
    assert all(getattr(qtha_lab, of.config_class.__name__) is of.config_class for of in own)


@pytest.mark.parametrize(
    ("command", "member"),
    [("models", "tiny"), ("tasks", "qa"), ("engines", "cpu"), ("ansatze", "qtha")],
)
def test_the_command_lists_members(command, member):
    for words in ([command], [command, "--json"]):
        answer = CliRunner().invoke(load_commands(), words)
        assert answer.exit_code == 0, answer.output
        assert member in answer.output


def test_the_version_is_printed_and_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "qtha_lab", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"qtha-lab {qtha_lab.__version__}"


def test_the_figures_are_a_public_name_of_the_package():
    code = "from qtha_lab import figures; print(figures.pareto.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "pareto\n", done.stderr
