"""From a trained run to a prediction: labels, numbers and answers of texts and files."""

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest
import torch
import transformers as hf
from support.command_line import call
from support.trained_runs import INPUTS, ROWS, TARGETS, experiment, finished, usage_code

from qtha_lab import load_adapter, load_model, load_predictor
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment.prediction_settings import FILE
from qtha_lab.runs.export import export_run
from qtha_lab.runs.run import Run
from qtha_lab.tasks.messages import render

KINDS = list(INPUTS)
TINY = data_dir() / "models" / "tiny"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of each kind of output."""
    folder = tmp_path_factory.mktemp("predicting")
    return {
        kind: Run(finished(experiment(folder, kind), folder / "runs").path)
        for kind in (*KINDS, "plain")
    }


def logits(run, text):
    """Compute the head's outputs with neither the predictor nor its encoding."""
    n_labels = {"classes": 2, "pairs": 3}.get(run.experiment.task.rsplit("/")[-1][:-6], 1)
    base = load_model("tiny", head="classification", n_labels=n_labels)
    model = load_adapter(base.model, run.files.adapter).eval()
    with torch.no_grad():
        return model(**base.tokenizer(text, return_tensors="pt")).logits[0].double()


def close(first, second):
    """Compare two predictions; numbers up to float32 rounding."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        if isinstance(value, dict):
            close(value, second[name])
        elif isinstance(value, float):
            assert value == pytest.approx(second[name], rel=1e-4)
        else:
            assert value == second[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "text", "labels"),
    [("classes", "A text.", ["bad", "good"]), ("pairs", "A text.\nAnother text.", ["a", "b", "c"])],
)
def test_a_class_has_the_probability_of_the_heads_softmax(trained, kind, text, labels):
    (predicted,) = trained[kind].predict([INPUTS[kind]])
    shares = logits(trained[kind], text).softmax(0)
    assert predicted["label"] == labels[int(shares.argmax())]
    assert predicted["probability"] == pytest.approx(float(shares.max()), rel=1e-5)
    assert list(predicted["probabilities"]) == labels


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numbers", "ordered"])
def test_a_number_is_in_the_unit_of_the_users_column(trained, kind):
    run = trained[kind]
    (predicted,) = run.predict(["A text."])
    note = next(e for e in run.valid_events() if "are scaled by mean" in e.get("message", ""))
    mean, deviation = (float(note["message"].split(name)[1].split()[0]) for name in ("mean", "deviation"))  # fmt: skip
    number = mean + deviation * float(logits(run, "A text.")[0])
    assert predicted["number"] == pytest.approx(number, rel=1e-4)
    if kind == "ordered":
        assert predicted["label"] == min("12345", key=lambda label: abs(float(label) - number))


@pytest.mark.slow
def test_an_answer_is_the_greedy_one(trained):
    run = trained["answers"]
    model, tokenizer = run.load()
    prompt = render([{"role": "user", "content": "A question?"}], tokenizer, generate=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=8, do_sample=False)[0, ids["input_ids"].shape[1] :]
    answer = tokenizer.decode(out, skip_special_tokens=True).strip()
    assert run.predict(["A question?"]) == [{"answer": answer}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_the_same_predictions_together_and_alone(trained, kind):
    predictor = load_predictor(trained[kind].files.adapter)
    rows = [INPUTS[kind], *({k: v for k, v in row.items() if k not in TARGETS} for row in ROWS[kind][:5])]  # fmt: skip
    together = predictor.predict(rows)
    assert len(together) == 6
    for row, predicted in zip(rows, together, strict=True):
        close(predictor.predict([row])[0], predicted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("export", ["adapter", "merged"])
def test_an_exported_folder_predicts_without_run_and_data(trained, kind, export, tmp_path):
    expected = trained[kind].predict([INPUTS[kind]])
    folder = export_run(trained[kind], export, tmp_path / "out").path
    close(load_predictor(folder).predict([INPUTS[kind]])[0], expected[0])
    texts = [p.read_text() for p in folder.iterdir() if p.name in (FILE, "config.json", "README.md", "adapter_config.json")]  # fmt: skip
    assert not any(str(trained[kind].path.parents[1]) in text for text in texts)
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    assert tokenizer("A text.")["input_ids"] == load_model("tiny").tokenizer("A text.")["input_ids"]


@pytest.mark.slow
@pytest.mark.parametrize("export", ["adapter", "lora", "merged"])
@pytest.mark.parametrize(
    ("kind", "names"),
    [("classes", ["bad", "good"]), ("ordered", ["stars"]), ("numbers", ["score"])],
)
def test_the_names_of_outputs_are_in_the_config_and_the_card(trained, kind, names, export, tmp_path):  # fmt: skip
    folder = export_run(trained[kind], export, tmp_path / "out").path
    config = hf.AutoConfig.from_pretrained(folder)
    assert [config.id2label[place] for place in range(len(names))] == names
    assert config.label2id == {name: place for place, name in enumerate(names)}
    card = (folder / "README.md").read_text()
    shown = ["`bad`, `good`"] if kind == "classes" else [f"`{names[0]}` is ", " × the output"]
    assert all(part in card for part in shown)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_in_the_card_of_a_merged_model_need_transformers_alone(trained, kind, tmp_path):
    folder = export_run(trained[kind], "merged", tmp_path / "out").path
    code = f"FOLDER = {str(folder)!r}\n{usage_code((folder / 'README.md').read_text())}"
    assert "qtha_lab" not in code
    answer = printed(code)
    (expected,) = trained[kind].predict([INPUTS[kind]])
    if kind in ("classes", "pairs"):
        assert answer[0]["label"] == expected["label"]
        assert answer[0]["score"] == pytest.approx(expected["probability"], rel=1e-4)
    elif kind == "answers":
        assert answer[0]["generated_text"][-1]["content"].strip() == expected["answer"]
    else:
        assert answer == pytest.approx(expected["number"], rel=1e-4)


def printed(code):
    """Return the value that a program in a process of its own prints."""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return eval(process.stdout.strip().splitlines()[-1], {})


@pytest.mark.slow
def test_the_lines_in_the_card_of_a_lora_need_peft_and_transformers_alone(tmp_path):
    base = tmp_path / "base"
    shutil.copytree(TINY, base)
    run = Run(finished(experiment(tmp_path, "pairs", base), tmp_path / "runs").path)
    folder = export_run(run, "adapter", tmp_path / "out").path
    code = usage_code((folder / "README.md").read_text())
    assert "qtha_lab" not in code
    answer = printed(f"BASE, FOLDER = {str(base)!r}, {str(folder)!r}\n{code}")
    (expected,) = run.predict([INPUTS["pairs"]])
    assert answer[0]["label"] == expected["label"]
    assert answer[0]["score"] == pytest.approx(expected["probability"], rel=1e-4)
    with pytest.raises(Refusal, match=r"The base model base of .* must be on this machine"):
        load_predictor(folder)
    close(load_predictor(folder, base=str(base)).predict([INPUTS["pairs"]])[0], expected)


@pytest.mark.slow
def test_random_weights_that_the_base_lacks_are_the_same_elsewhere(tmp_path):
    """A masked language model has no pooler, so a classifier draws one by the run's seed."""
    base = tmp_path / "base"
    tokenizer = hf.AutoTokenizer.from_pretrained(TINY)
    config = hf.BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)  # fmt: skip
    hf.BertForMaskedLM(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    run = Run(finished(experiment(tmp_path, "classes", base, seed=5), tmp_path / "runs").path)
    code = usage_code((run.files.adapter / "README.md").read_text())
    assert "load_predictor(FOLDER, base=BASE)" in code
    answer = printed(f"BASE, FOLDER = {str(base)!r}, {str(run.files.adapter)!r}\n{code}")
    close(answer[0], run.predict(["A text."])[0])


@pytest.mark.slow
def test_a_checkpoint_predicts_and_is_exported_with_its_names(trained, tmp_path):
    path = tmp_path / trained["classes"].id
    shutil.copytree(trained["classes"].path, path)
    shutil.rmtree(path / "adapter")
    run = Run(path)
    expected = run.predict(["A text."])
    folder = export_run(run, "adapter", tmp_path / "out").path
    close(load_predictor(folder).predict(["A text."])[0], expected[0])


# the command


def command(*words):
    """Return the output of `qtha-lab predict`, which must succeed."""
    result = call("predict", *map(str, words))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_csv_file_gives_its_columns_and_the_predictions(trained, kind, tmp_path):
    rows = [{k: v for k, v in row.items() if k not in TARGETS} for row in ROWS[kind][:3]]  # fmt: skip
    file = tmp_path / "new.csv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    out = command(trained[kind].path, file)
    printed_rows = list(csv.DictReader(io.StringIO(out)))
    expected = trained[kind].predict(rows)
    lines = map(json.loads, command(trained[kind].path, file, "--json").splitlines())
    for row, predicted, shown, line in zip(rows, expected, printed_rows, lines, strict=True):
        assert shown.items() >= row.items()
        assert line.items() >= row.items()
        close({name: line[f"predicted_{name}"] for name in predicted}, predicted)
        for name in predicted.keys() - {"probabilities"}:
            value = shown[f"predicted_{name}"]
            close({name: type(predicted[name])(value)}, {name: predicted[name]})


@pytest.mark.slow
def test_one_text_and_a_pair_give_one_line(trained):
    (expected,) = trained["classes"].predict(["A text."])
    assert command(trained["classes"].path, "A text.").split()[0] == expected["label"]
    (expected,) = trained["pairs"].predict([INPUTS["pairs"]])
    out = command(trained["pairs"].files.adapter, "A text.", "Another text.")
    assert out.split()[0] == expected["label"]


@pytest.mark.slow
def test_a_file_of_texts_alone_needs_no_column_name(trained, tmp_path):
    file = tmp_path / "new.txt"
    file.write_text("One text.\nAnother text.\n")
    out = command(trained["classes"].path, file)
    assert [row["review"] for row in csv.DictReader(io.StringIO(out))] == ["One text.", "Another text."]  # fmt: skip


# refusals


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "rows", "rule", "value"),
    [
        ("classes", "A text.", "rows must be a list", "'A text.'"),
        ("pairs", ["A text."], "must have 2 texts (premise, hypothesis)", "A text."),
        ("classes", [{"text": "a"}], "must have the columns review", "review"),
        ("classes", [{"review": ""}], "review must not be missing", "empty"),
        ("plain", ["A text."], "must have labels, numbers or answers", "plain text"),
    ],
)
def test_rows_that_cannot_be_predicted_are_refused(trained, kind, rows, rule, value):
    with pytest.raises(Refusal) as refused:
        trained[kind].predict(rows)
    assert rule in str(refused.value)
    assert value in str(refused.value)


@pytest.mark.slow
def test_a_bad_line_of_a_file_is_named(trained, tmp_path):
    file = tmp_path / "new.csv"
    file.write_text("review,id\nfine,1\n,2\n")
    for words, parts in (
        ([file], ["new.csv", "3", "review must not be missing"]),
        ([tmp_path / "none.csv"], ["FILE must exist", "none.csv"]),
        (["A text.", "--base", "tiny"], ["--base must be empty for a run", "tiny"]),
    ):
        refused = call("predict", str(trained["classes"].path), *map(str, words)).exception
        assert isinstance(refused, Refusal)
        assert all(part in str(refused) for part in parts)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"kind": "classes"}',
        '{"unknown": 1}',
        '{"kind": "lm", "head": "causal-lm", "model": "tiny", "scale": [NaN, 1]}',
        '{"kind": "regression", "head": "classification", "model": "tiny", "labels": ["x"]}',
        '{"kind": "lm", "head": "causal-lm", "model": "tiny", "shape": "mine"}',
        '{"kind": "lm", "head": "causal-lm", "model": "tiny", "shape": "sentence pairs"}',
    ],
)
def test_damaged_settings_are_refused(content, tmp_path):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(Refusal, match=r"prediction\.json cannot be read") as refused:
        load_predictor(tmp_path)
    assert len(str(refused.value)) <= 300


def test_a_folder_without_settings_is_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_predictor(tmp_path)
