"""Model folders that need another head, a package or a newer library: the cause is named."""

import json

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from support.trained_runs import experiment, finished

from qtha_lab import models
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.runs.run import Run

TOKENIZER = hf.AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
WORDS = len(TOKENIZER)
BERT = {
    "vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32,
}  # fmt: skip
BART = {
    "vocab_size": WORDS, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "max_position_embeddings": 128, "num_labels": 3,
}  # fmt: skip
T5 = {
    "vocab_size": WORDS, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2,
    "decoder_start_token_id": 0,
}  # fmt: skip


def save(model, folder):
    """Save a model with tiny's tokenizer, which adds no end token."""
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


def classifier(folder, n_labels=5, **settings):
    config = hf.BertConfig(**BERT, num_labels=n_labels, **settings)
    return save(hf.BertForSequenceClassification(config), folder)


def changed(folder, **settings):
    """Change settings in config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder


def refusal(folder, task="qa"):
    with pytest.raises(Refusal) as refused:
        experiment_on(folder, task).check()
    message = str(refused.value)
    assert len(message) <= 300
    assert "Copy the files" not in message
    assert "Download the model again" not in message
    return message


def experiment_on(folder, kind):
    if kind == "qa":
        from qtha_lab import Experiment

        return Experiment(model=str(folder), task="qa")
    return experiment(folder.parent, kind, folder)


# fine-tuned classifiers


def test_a_fine_tuned_classifier_gets_a_new_head_for_other_classes(tmp_path):
    folder = classifier(tmp_path / "model")
    run = Run(finished(experiment_on(folder, "classes"), tmp_path / "runs").path)
    notes = [event["message"] for event in run.valid_events() if event["kind"] == "note"]
    assert "head classifier of 5 outputs is replaced by a new one of 2 outputs" in notes
    assert set(run.predict(["A text."])[0]["probabilities"]) == {"good", "bad"}


def test_a_fine_tuned_classifier_of_as_many_classes_keeps_its_head(tmp_path):
    folder = classifier(tmp_path / "model", 2, id2label={0: "sad", 1: "glad"})
    stored = load_file(folder / "model.safetensors")["classifier.weight"]
    loaded = models.load_model(str(folder), head="classification", n_labels=2)
    assert torch.equal(loaded.model.classifier.weight, stored)
    assert loaded.note == "head classifier is kept from the model, trained on the classes sad, glad"


@pytest.mark.parametrize("recorded", ["single_label_classification", "multi_label_classification"])
def test_the_loss_of_an_earlier_fine_tuning_is_not_taken_over(tmp_path, recorded):
    """A regression with a recorded class loss would train on a loss of 0."""
    folder = classifier(tmp_path / "model", 2, problem_type=recorded)
    for n_labels, kind in ((1, "regression"), (3, "single_label_classification")):
        loaded = models.load_model(str(folder), head="classification", n_labels=n_labels)
        assert loaded.model.config.problem_type == kind


def test_other_weights_that_do_not_fit_are_refused_as_before(tmp_path):
    folder = changed(classifier(tmp_path / "model"), intermediate_size=48)
    with pytest.raises(Refusal, match=r"must fit its config\.json") as refused:
        models.load_model(str(folder), head="classification", n_labels=2)
    assert "Copy both files from one model" in str(refused.value)


# encoders with a decoder


@pytest.mark.parametrize("kind", ["classes", "pairs", "numbers"])
@pytest.mark.parametrize("name", ["bart", "t5"])
def test_an_encoder_with_a_decoder_classifies_without_an_end_token_of_its_tokenizer(
    tmp_path, name, kind
):
    model = (
        hf.BartForConditionalGeneration(hf.BartConfig(**BART, eos_token_id=TOKENIZER.eos_token_id))
        if name == "bart"
        else hf.T5ForConditionalGeneration(
            hf.T5Config(**T5, eos_token_id=TOKENIZER.eos_token_id, pad_token_id=0)
        )
    )
    folder = save(model, tmp_path / "model")
    run = Run(finished(experiment_on(folder, kind), tmp_path / "runs").path)
    assert run.summary["head_parameters"] > 0
    (predicted,) = run.predict([("A text.", "B.") if kind == "pairs" else "A text."])
    assert predicted.keys() & {"label", "number"}


def test_a_text_with_an_end_token_in_it_has_one(tmp_path):
    from qtha_lab.tasks.task import encode_inputs

    rows = [{"text": f"a {TOKENIZER.eos_token} b"}, {"text": "a " * 99}]
    for row in encode_inputs(rows, TOKENIZER, 8, is_seq2seq=True):
        assert len(row["input_ids"]) == len(row["attention_mask"]) <= 8
        assert [t == TOKENIZER.eos_token_id for t in row["input_ids"]].count(True) == 1
        assert row["input_ids"][-1] == TOKENIZER.eos_token_id


# causes by name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    folder = classifier(tmp_path / "model")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["bert.encoder.layer.0.attention.self.query.weight"][0, 0] = value
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(Refusal) as refused:
        models.load_model(str(folder), head="classification", n_labels=5)
    assert "must be finite, got NaN or infinity" in str(refused.value)
    assert "query.weight" in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "package"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4}, "gptqmodel"),
        ({"quant_method": "awq", "bits": 4}, "gptqmodel"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
    ],
)
def test_quantised_weights_name_the_package_that_is_missing(tmp_path, settings, package):
    folder = changed(classifier(tmp_path / "model"), quantization_config=settings)
    message = refusal(folder, "classes")
    assert f"pip install {package}" in message
    assert "unquantised" in message


def test_an_unknown_type_needs_a_newer_transformers(tmp_path):
    message = refusal(changed(classifier(tmp_path / "model"), model_type="llama9"), "classes")
    assert f"must be known to transformers {hf.__version__}, got 'llama9'" in message
    assert "Install a newer transformers" in message


def test_code_in_the_folder_is_named_and_never_run(tmp_path):
    folder = changed(
        classifier(tmp_path / "model"),
        model_type="mine",
        auto_map={"AutoModelForCausalLM": "modeling_mine.Mine"},
    )
    (folder / "modeling_mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert "code of its own, which is never run" in refusal(folder, "classes")
    assert not (tmp_path / "ran").exists()


def test_an_exported_adapter_with_its_config_is_no_base(tmp_path):
    folder = classifier(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "adapter_config.json").write_text("{}")
    assert "must hold a model, got an adapter" in refusal(folder, "classes")


def test_a_sequence_to_sequence_model_without_a_first_token_names_the_setting(tmp_path):
    config = hf.LongT5Config(**{k: v for k, v in T5.items() if k != "decoder_start_token_id"})
    folder = save(hf.LongT5ForConditionalGeneration(config), tmp_path / "model")
    assert "has no decoder_start_token_id" in refusal(folder)
