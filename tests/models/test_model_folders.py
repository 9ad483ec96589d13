"""Model folders of a user.

Each trains, or is refused before launch in one sentence with the remedy.
"""

import json
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import save_file
from support.refusals import refused

from qtha_lab import models
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment, MethodChoice, Training

TINY = data_dir() / "models" / "tiny"
TOKENIZER = hf.AutoTokenizer.from_pretrained(TINY)
WORDS = len(TOKENIZER)
BLOCKS: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
PICTURES: dict[str, Any] = {
    k: v for k, v in BLOCKS.items() if k not in ("vocab_size", "max_position_embeddings")
}
BUILD = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**BLOCKS)),
    "bert": lambda: hf.BertModel(hf.BertConfig(**BLOCKS)),
    "bert mlm": lambda: hf.BertForMaskedLM(hf.BertConfig(**BLOCKS)),
    "bert decoder": lambda: hf.BertLMHeadModel(hf.BertConfig(is_decoder=True, **BLOCKS)),
    "mamba": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=WORDS, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
    "xlnet": lambda: hf.XLNetLMHeadModel(
        hf.XLNetConfig(vocab_size=WORDS, d_model=32, n_layer=2, n_head=2, d_inner=64)
    ),
    "phimoe": lambda: hf.PhimoeForCausalLM(
        hf.PhimoeConfig(num_key_value_heads=2, num_local_experts=4, **BLOCKS)
    ),
    "vit": lambda: hf.ViTForImageClassification(
        hf.ViTConfig(image_size=32, patch_size=8, **PICTURES)
    ),
}


def folder_of(path, name="llama", tokenizer=True):
    torch.manual_seed(0)
    BUILD[name]().save_pretrained(path)
    if tokenizer:
        TOKENIZER.save_pretrained(path)
    return path


@pytest.fixture
def classes(tmp_path):
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(60)]
    path = tmp_path / "classes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def experiment(folder, task="qa"):
    training = Training(steps=1, max_length=32, batch_size=2, eval_rows=4, test_rows=4)
    method = MethodChoice(name="lora", options={"r": 1})
    return Experiment(model=str(folder), task=task, method=method, training=training)


def refusal(described):
    with pytest.raises(Refusal) as record:
        described.check()
    message = str(record.value)
    assert len(message) <= 300
    assert "\n" not in message
    assert "fault of qtha-lab" not in message
    return message


def test_a_decoder_of_bert_and_a_bare_encoder_are_taken(tmp_path, classes):
    experiment(folder_of(tmp_path / "decoder", "bert decoder")).check()
    experiment(folder_of(tmp_path / "encoder", "bert"), classes).check()


def test_a_model_without_a_limit_of_positions_is_taken(tmp_path):
    folder = folder_of(tmp_path / "model", "xlnet")
    assert models.empty_model(str(folder)).config.max_position_embeddings == -1
    experiment(folder).check()


def test_a_router_whose_result_is_a_tuple_is_adapted_by_name_only(tmp_path):
    folder = folder_of(tmp_path / "model", "phimoe")
    experiment(folder).check()
    everything = MethodChoice(name="lora", target_modules=["all-linear"])
    message = refusal(Experiment(model=str(folder), task="qa", method=everything))
    assert message.startswith("target_modules must leave out router, a PhimoeTopKRouter")
    assert "Name other layers: q_proj" in message


@pytest.mark.parametrize("name", ["bert", "bert mlm", "vit"])
def test_an_encoder_is_refused_on_a_task_that_generates_text(tmp_path, name):
    folder = folder_of(tmp_path / "model", name, tokenizer=name != "vit")
    message = refusal(experiment(folder))
    assert message.startswith("A task that generates text must have a causal language model, got ")
    assert "Choose a causal language model" in message
    with refused("A task that generates text", " a model of type"):
        models.load_model(str(folder))


@pytest.mark.parametrize("name", ["mamba", "vit"])
def test_a_model_without_a_classification_head_is_refused_on_a_task_with_classes(
    tmp_path, classes, name
):
    message = refusal(experiment(folder_of(tmp_path / "model", name), classes))
    assert message.startswith(
        "A task with classes must have a model with a classification head, got "
    )


# config.json
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda config: "[" * 100_000 + "]" * 100_000, "JSON must be nested at most 64 levels deep"),
        (lambda config: {"model_type": "llama", "text_config": config}, "must have the 32 layers"),
        (lambda config: [config], "has no model_type"),
        (lambda config: "\0", "the text must be json"),
        (lambda config: config | {"model_type": 3}, "has no model_type"),
        (lambda config: config | {"model_type": "mystery"}, "got 'mystery'. Install a newer transformers"),
        (lambda config: config | {"hidden_size": "x"}, "Validation error for field 'hidden_size'"),
        (lambda config: config | {"vocab_size": None}, "Validation error for field 'vocab_size'"),
        (lambda config: config | {"num_attention_heads": 0}, "ZeroDivisionError"),
        (lambda config: config | {"num_hidden_layers": -1}, "must be between 0 and 10,000, got -1."),
        (lambda config: config | {"num_hidden_layers": 10**7}, "must be between 0 and 10,000"),
        (lambda config: config | {"num_hidden_layers": 9_000}, "must have the 9,000 layers"),
        (lambda config: config | {"hidden_act": "mystery"}, "must describe a model, got KeyError"),
        (lambda config: config | {"hidden_size": 64}, "must fit its config.json, got model.embed_tokens"),
    ],
)  # fmt: skip
def test_a_config_that_describes_no_model_is_refused(tmp_path, change, sentence):
    folder = folder_of(tmp_path / "model")
    file = folder / "config.json"
    content = change(json.loads(file.read_text()))
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    assert sentence.lower() in refusal(experiment(folder)).lower()


# weights
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: b"", "got a file of 0 bytes"),
        (lambda data: data[: len(data) // 2], "bytes for"),
        (lambda data: b"<html>not found</html>", "got a header of"),
        (lambda data: (2).to_bytes(8, "little") + b"{}", "got 0 tensors"),
    ],
    ids=["empty", "cut", "a web page", "no tensors"],
)
def test_damaged_weights_are_refused_by_check(tmp_path, damage, sentence):
    folder = folder_of(tmp_path / "model")
    file = folder / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert sentence in refusal(experiment(folder))


def test_weights_that_lack_a_layer_are_not_trained_from_random_numbers(tmp_path):
    folder = folder_of(tmp_path / "model")
    with open_tensors(folder / "model.safetensors") as file:
        names = file.keys()
        tensors = {n: file.get_tensor(n) for n in names if "layers.1.mlp" not in n}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with refused("The weights", rule="no tensor model.layers.1.mlp"):
        models.load_model(str(folder))


def test_an_index_that_names_a_file_outside_its_folder_is_refused(tmp_path):
    folder = folder_of(tmp_path / "model")
    (folder / "model.safetensors").rename(tmp_path / "model.safetensors")
    index = {"weight_map": {"lm_head.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "must have model.safetensors or all files of its index" in refusal(experiment(folder))


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 64, (2**40).to_bytes(8, "little")])
def test_a_file_that_is_no_safetensors_is_refused_by_name(tmp_path, content):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with refused("x.safetensors", rule="a whole safetensors file"), open_tensors(file):
        pass


def test_a_sparse_file_of_two_gibibytes_is_refused_by_its_header(tmp_path):
    file = tmp_path / "x.safetensors"
    with file.open("wb") as sparse:
        sparse.truncate(2**31)
    with refused(value="a damaged header"), open_tensors(file):
        pass


# tokenizer
# -----------------------------------------------------------------------------------------


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    message = refusal(experiment(folder_of(tmp_path / "model", tokenizer=False)))
    assert message.endswith("must have a tokenizer, got no tokenizer.json. "
                            "Copy the tokenizer files of the model into the folder.")  # fmt: skip


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{}", "[1]", '{"model": {}}', "", "[" * 100_000])
def test_a_damaged_tokenizer_is_refused_or_read(tmp_path, name, content):
    folder = folder_of(tmp_path / "model")
    (folder / name).write_text(content)
    try:
        experiment(folder).check()
    except Refusal as reason:
        message = str(reason)
    else:
        message = "" if name == "tokenizer_config.json" else "accepted"
    assert message == "" or "tokenizer" in message
    assert len(message) <= 300


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_tokenizer_file_of_no_limited_size_is_refused(tmp_path, name):
    folder = folder_of(tmp_path / "model")
    file = folder / name
    with file.open("wb") as sparse:
        sparse.truncate(2**31)
    assert f"{name} must have at most 64 MiB, got 2048.0 MiB." in refusal(experiment(folder))
    file.unlink()
    file.symlink_to(file)
    assert f"{name} cannot be read" in refusal(experiment(folder))


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    hf.LlamaForCausalLM(hf.LlamaConfig(**BLOCKS | {"vocab_size": 100})).save_pretrained(
        tmp_path / "model"
    )
    TOKENIZER.save_pretrained(tmp_path / "model")
    assert "must have at most 100 tokens, the embeddings of the model, got 4,096" in refusal(
        experiment(tmp_path / "model")
    )


ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor"
    " %}{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (ENDLESS, "must end within 2 s and 256 MiB"),
        ("{% if tools %}" + ENDLESS + "{% endif %}", "must end within 2 s and 256 MiB"),
        ("{{ 'x' * 40000000000 }}", "must end within 2 s and 256 MiB"),
        (
            "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
            "must end within 2 s and 256 MiB",
        ),
        ("{{ ('x' * 300000000)|length }}", "must end within 2 s and 256 MiB"),
        ("{{ raise_exception() }}{{ 'x' * 1000000000 }}", "must end within 2 s and 256 MiB"),
        ("{% for %}", "chat template must accept a conversation of user, assistant"),
        ("{{ messages + 1 }}", "chat template must accept a conversation of user, assistant"),
        ("{# nothing #}", "must keep an answer token"),
    ],
    ids=[
        "endless",
        "endless with tools",
        "one long text",
        "many texts",
        "counted",
        "folded",
        "no Jinja",
        "a wrong type",
        "empty",
    ],
)
def test_a_chat_template_that_cannot_be_used_is_refused(tmp_path, template, sentence):
    folder = folder_of(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template)
    assert sentence in refusal(experiment(folder))
