"""Real runs taken away: what each export loads as, and what repeats a run."""

import json
import shutil

import nbformat
import pytest
import torch
from peft import PeftModel
from support.command_line import call
from support.notebooks import execute, outputs_of
from support.refusals import refused
from support.trained_runs import train_two
from transformers import AutoModelForCausalLM, AutoTokenizer

from qtha_lab import Comparison, Experiment, load_adapter, load_model
from qtha_lab.core.errors import Refusal
from qtha_lab.runs import export
from qtha_lab.runs.export.kinds import default_place
from qtha_lab.runs.run import Run, list_runs

IDS = torch.tensor([[5, 11, 3, 40, 7]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A LoRA and a QTHA of the same base and task."""
    return train_two(tmp_path_factory.mktemp("runs"))


def logits(model):
    with torch.no_grad():
        return model.eval()(IDS).logits


def of_run(run):
    return logits(load_adapter(load_model("tiny").model, run.files.adapter))


@pytest.mark.slow
def test_an_adapter_goes_with_its_card_and_loads_as_it_was(trained, tmp_path):
    for number, run in enumerate(trained):
        result = export.export_run(run, "adapter", tmp_path / str(number))
        assert (result.path / "README.md").is_file()
        assert torch.equal(logits(load_adapter(load_model("tiny").model, result.path)), of_run(run))


@pytest.mark.slow
def test_a_lora_of_a_lora_is_the_same_and_that_of_a_circuit_says_what_it_misses(trained, tmp_path):
    lora, qtha = trained
    result = export.export_run(lora, "lora", tmp_path / "lora", r=2)
    plain = PeftModel.from_pretrained(load_model("tiny").model, result.path)
    torch.testing.assert_close(logits(plain), of_run(lora), atol=1e-3, rtol=1e-3)
    result = export.export_run(qtha, "lora", tmp_path / "qtha", r=2)
    assert "of the change on held-out tokens" in result.message
    error = float(result.message.split("misses ")[1].split()[0])
    assert 1e-4 < error < 1.5


def test_what_is_linear_is_merged_and_what_is_not_says_why(trained, tmp_path):
    lora, qtha = trained
    result = export.export_run(lora, "merged", tmp_path / "model")
    merged = AutoModelForCausalLM.from_pretrained(result.path)
    torch.testing.assert_close(logits(merged), of_run(lora), atol=1e-3, rtol=1e-3)
    assert AutoTokenizer.from_pretrained(result.path).chat_template
    with pytest.raises(Refusal, match=f"Run {qtha.id} cannot be merged: .*circuit"):
        export.export_run(qtha, "merged", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_run_without_its_adapter_gives_its_checkpoint_and_no_card(trained, tmp_path):
    shutil.copytree(trained[0].path, tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "adapter")
    run = Run(tmp_path / "half")
    result = export.export_run(run, "adapter")
    assert result.path == default_place(run, "adapter")
    assert "from the checkpoint at step 6" in result.message
    with refused("A run with a model card", "finished for half"):
        export.export_run(run, "card")


def test_places_that_are_taken_are_refused_and_the_own_one_is_made_anew(trained, tmp_path):
    run = trained[0]
    (tmp_path / "card.md").write_text("mine")
    with refused("card.md", rule="exist yet"):
        export.export_run(run, "card", tmp_path / "card.md")
    with pytest.raises(Refusal, match=r"must be empty\. Choose another"):
        export.export_run(run, "adapter", tmp_path)
    assert (tmp_path / "card.md").read_text() == "mine"
    with refused("export", "'lroa'", remedy="'lora'"):
        export.export_run(run, "lroa")
    paths = {export.export_run(run, "card").path for _ in range(2)}
    assert [path.is_file() for path in paths] == [True]


# what repeats a run


def test_the_files_that_repeat_a_run_say_its_experiment(trained, tmp_path):
    run = trained[1]
    yaml = export.export_run(run, "yaml", tmp_path / "run.yaml").path
    assert Experiment.from_yaml(yaml) == run.experiment
    scope: dict = {}
    python = export.export_run(run, "python", tmp_path / "run.py").path.read_text()
    exec(python.replace("run = launch(experiment)", ""), scope)
    assert scope["experiment"] == run.experiment


@pytest.mark.slow
def test_the_notebook_of_a_run_repeats_it(trained, tmp_path):
    file = export.export_run(trained[0], "notebook", tmp_path / "again.ipynb").path
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert outputs_of(notebook.cells) == []
    outputs = execute(notebook, tmp_path, "full", tmp_path)
    (again,) = list_runs(tmp_path / "runs")
    assert again.experiment == trained[0].experiment
    assert again.summary["eval_loss"] == trained[0].summary["eval_loss"]
    assert any("data:image/svg+xml" in o.get("data", {}).get("text/html", "") for o in outputs)
    assert "eval_loss" in outputs[-1]["data"]["text/plain"]


@pytest.mark.slow
def test_the_notebook_of_a_comparison_ends_with_its_table(tmp_path):
    training = {
        "steps": 2,
        "batch_size": 2,
        "eval_rows": 2,
        "test_rows": 8,
        "generate_rows": 0,
        "max_length": 64,
    }
    described = Comparison(methods="lora(r=2),ia3", training=training)
    notebook = nbformat.reads(described.to_notebook(), as_version=4)
    assert described.to_command() in notebook.cells[0].source
    outputs = execute(notebook, tmp_path, "full", tmp_path)
    assert "lora(r=2" in str(outputs)
    assert len(list_runs(tmp_path / "comparison" / "runs")) == 2


# the command


def test_the_command_says_where_it_lies(trained, monkeypatch, tmp_path):
    run = trained[0]
    monkeypatch.setenv("QTHA_LAB_RUNS", str(run.path.parent))
    answer = call("export", run.id, "yaml", "--to", str(tmp_path / "a.yaml"), "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["path"] == str(tmp_path / "a.yaml")
    listed = call("export", run.id)
    assert all(kind in listed.stdout for kind in export.KINDS)
    assert isinstance(call("export", run.id, "yaml", "--r", "2").exception, Refusal)
