"""Adapters and models from folders of the real world: loaded, or refused in one sentence."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from support.refusals import refused
from support.small_models import TARGETS, logits, make

from qtha_lab import models
from qtha_lab.adapters import QthaConfig, add_adapter, load_adapter, loading
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir

CONFIGS = {
    "qtha": lambda: QthaConfig(r=2, waist=8, target_modules=TARGETS["llama"]),
    "lora": lambda: LoraConfig(r=2, target_modules=TARGETS["llama"]),
}


@pytest.fixture(params=CONFIGS)
def folder(request, tmp_path):
    add_adapter(make("llama"), CONFIGS[request.param]()).save_pretrained(tmp_path)
    return tmp_path


def describe(folder, **changed):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def refusal(folder, model="llama"):
    with pytest.raises(Refusal) as record:
        load_adapter(make(model), folder)
    assert "\n" not in str(record.value)
    assert len(str(record.value).replace(str(folder), "")) <= 300
    return str(record.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "adapter_config.json cannot be read: "),
        (b"{", "adapter_config.json cannot be read: "),
        (b"[]", "adapter_config.json must hold a JSON object"),
        (b"\xff\xfe", "adapter_config.json cannot be read: "),
        (b"[" * 100_000, "adapter_config.json cannot be read: "),
        (b" " * 2**21, "adapter_config.json must be at most 1 MiB"),
        (b"{}", "Unknown adapter method 'none'"),
        (b'{"peft_type": ["LORA"]}', "Unknown adapter method"),
    ],
)
def test_a_damaged_description_is_a_sentence(tmp_path, content, sentence):
    (tmp_path / "adapter_config.json").write_bytes(content)
    assert sentence in refusal(tmp_path)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_cut_tensors_are_a_sentence(folder, cut):
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:cut])
    assert "adapter_model.safetensors must be a whole safetensors file" in refusal(folder)


def test_garbage_for_tensors_is_a_sentence(folder):
    (folder / "adapter_model.safetensors").write_bytes(b"\x80\x04garbage" * 50)
    assert "adapter_model.safetensors must be a whole safetensors file" in refusal(folder)


@pytest.mark.parametrize("size", ["1e999", "2.5", '"2"', "-1", "9" * 30])
def test_a_header_with_sizes_that_are_none_is_a_sentence(folder, size):
    entry = '{"dtype": "F32", "shape": [%s], "data_offsets": [0, 16]}' % size  # noqa: UP031
    header = f'{{"w": {entry}}}'.encode()
    content = len(header).to_bytes(8, "little") + header + bytes(16)
    (folder / "adapter_model.safetensors").write_bytes(content)
    assert "adapter_model.safetensors must be a whole safetensors file" in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named(folder, value):
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    name = sorted(tensors)[0]
    tensors[name].flatten()[0] = value
    save_file(tensors, file, metadata={"format": "pt"})
    assert f"must be finite, got others in {name}" in refusal(folder)


def test_a_tensor_of_another_size_is_named_before_anything_is_built(folder):
    describe(folder, r=3)
    assert "must fit this model, got " in refusal(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"r": "two"},
        {"r": None},
        {"r": -1},
        {"r": [2]},
        {"target_modules": 5},
        {"target_modules": []},
        {"target_modules": [5]},
        {"target_modules": "(["},
        {"bias": "some"},
        {"layers_to_transform": "first"},
        {"modules_to_save": 7},
        {"task_type": "ZZZ"},
    ],
    ids=str,
)
def test_settings_of_a_wrong_kind_are_a_sentence(folder, changed):
    describe(folder, **changed)
    assert folder.name in refusal(folder)


def test_many_long_settings_of_another_version_are_a_short_sentence(folder):
    describe(folder, **{f"{letter}" * 40: ["x" * 100] for letter in "abcdef"})
    assert "a" * 40 in refusal(folder)


@pytest.mark.parametrize("method", CONFIGS)
def test_a_description_of_a_huge_adapter_is_refused_without_building_it(method, tmp_path):
    add_adapter(make("llama"), CONFIGS[method]()).save_pretrained(tmp_path)
    describe(tmp_path, **({"waist": 10**9} if method == "qtha" else {"r": 10**9}))
    assert "must fit this model, got " in refusal(tmp_path)


def test_a_pattern_that_takes_for_ever_is_refused(folder, monkeypatch):
    monkeypatch.setattr(loading, "PATTERN_SECONDS", 1)
    describe(folder, target_modules="(([a-z_.0-9]+)+)+!")
    assert "within 1 seconds of computing" in refusal(folder)


def test_a_pattern_that_matches_is_taken(tmp_path):
    config = QthaConfig(r=2, waist=8, target_modules=r".*\.(q|v)_proj", init_weights=False)
    model = add_adapter(make("llama"), config)
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(load_adapter(make("llama"), tmp_path)), logits(model))


@pytest.mark.slow
def test_pickled_tensors_are_not_opened_and_the_sentence_converts_them(tmp_path, monkeypatch):
    import subprocess
    import sys

    model = add_adapter(
        make("llama"), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    )
    model.save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    torch.save(load_file(file), tmp_path / "adapter_model.bin")
    file.unlink()
    message = refusal(tmp_path)
    assert "got pickled tensors, which can run code when they are opened" in message
    code = message.split('python -c "')[1].removesuffix('"')
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert torch.equal(logits(load_adapter(make("llama"), tmp_path)), logits(model))


def test_peft_still_loads_what_a_loaded_adapter_saves(folder, tmp_path):
    again = load_adapter(make("llama"), folder)
    again.save_pretrained(tmp_path / "again")
    plain = PeftModel.from_pretrained(make("llama"), tmp_path / "again")
    assert torch.equal(logits(plain), logits(again))


# models
# --------------------------------------------------------------------------------------------


@pytest.fixture
def model_folder(tmp_path):
    shutil.copytree(data_dir() / "models" / "tiny", tmp_path / "base")
    return tmp_path / "base"


def test_a_model_of_pickled_weights_is_not_opened(model_folder):
    (model_folder / "model.safetensors").unlink()
    (model_folder / "pytorch_model.bin").write_bytes(b"\x80\x04garbage")
    for refuse in (models.check_model, models.load_model):
        with refused("weights of", "pytorch_model.bin", remedy="use_safetensors=False)"):  # fmt: skip
            refuse(str(model_folder))


def test_a_folder_with_a_model_and_an_adapter_is_refused(model_folder):
    (model_folder / "adapter_config.json").write_text("{}")
    for refuse in (models.check_model, models.load_model):
        with refused(value="both"):
            refuse(str(model_folder))


def test_a_whole_model_folder_loads(model_folder):
    assert models.load_model(str(model_folder)).model.num_parameters() == 3_148_224
