"""Exports: model cards, and adapters as plain LoRA that load without this package."""

import ast
import json
import re
import subprocess

import pytest
import torch
from huggingface_hub import ModelCard
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from support.preloaded import PYTHON
from support.refusals import refused
from support.small_models import TARGETS, logits, make

from qtha_lab.adapters import QthaConfig, add_adapter, load_adapter, weigh
from qtha_lab.core.paths import data_dir
from qtha_lab.models.model_card import write_card
from qtha_lab.runs.export.lora_fit import export_lora


def text(rows=32, length=30):
    generator = torch.Generator().manual_seed(5)
    return [
        {"input_ids": torch.randint(0, 48, (8, length), generator=generator)}
        for _ in range(rows // 8)
    ]


def linear(base, **options):
    torch.manual_seed(0)
    config = QthaConfig(
        r=3, waist=8, bond_dim=2, use_circuit=False, init_weights=False,
        target_modules=TARGETS[base], **options,
    )  # fmt: skip
    return add_adapter(make(base), config)


# plain LoRA


@pytest.mark.parametrize("base", ["llama", "gpt2"])
def test_a_linear_adapter_is_exported_without_error_and_loads_with_peft_alone(base, tmp_path):
    model = linear(base)
    created = export_lora(model, text(), r=3, folder=tmp_path, base_model="owner/base")
    assert created.error < 1e-9  # its rank is 3 at most
    plain = PeftModel.from_pretrained(make(base), tmp_path)
    torch.testing.assert_close(logits(plain), logits(model), atol=1e-4, rtol=1e-3)
    merged = plain.merge_and_unload()
    torch.testing.assert_close(logits(merged), logits(model), atol=1e-4, rtol=1e-3)


def test_a_circuit_leaves_an_error_that_the_card_states(tmp_path):
    torch.manual_seed(0)
    config = QthaConfig(
        r=2, n_layers=2, use_mpo=False, use_linear=False, input_scale=3.0, init_weights=False,
        target_modules=TARGETS["llama"],
    )  # fmt: skip
    model = add_adapter(make("llama"), config)
    created = export_lora(model, text(), r=2, folder=tmp_path, base_model="owner/base")
    assert 0.05 < created.error < 1.2
    assert set(created.error_by_layer) == {
        n.removeprefix("base_model.model.")
        for n, m in model.named_modules()
        if hasattr(m, "changes")
    }
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.base_model == "owner/base"
    assert f"misses {created.error:.2%} of the change" in card.content
    assert "qtha-lab" not in card.content.split("## Loading it")[1].split("## ")[0]


@pytest.mark.parametrize("offset", [None, False])
def test_the_constant_part_of_a_change_becomes_an_offset(offset, tmp_path):
    torch.manual_seed(0)
    config = QthaConfig(
        r=2, stand_in="bias", init_weights=False, waist=8, target_modules=["c_attn"]
    )
    model = add_adapter(make("gpt2"), config)
    created = export_lora(model, text(), r=2, folder=tmp_path, offset=offset)
    plain = PeftModel.from_pretrained(make("gpt2"), tmp_path)
    assert created.offset == (offset is None) == plain.peft_config["default"].lora_bias
    if offset is False:
        assert created.error > 0.01
        return
    assert created.error < 1e-9
    torch.testing.assert_close(logits(plain), logits(model), atol=1e-3, rtol=1e-3)
    merged = plain.merge_and_unload()
    torch.testing.assert_close(logits(merged), logits(model), atol=1e-3, rtol=1e-3)


def test_a_larger_rank_never_fits_worse_on_the_tokens_of_the_fit(tmp_path):
    model = linear("llama")
    errors = [export_lora(model, text(), r=r, folder=tmp_path / str(r)).error for r in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]


def test_a_weighed_adapter_is_exported_with_its_weight(tmp_path):
    model = linear("llama")
    weigh(model, {"default": 0.25})
    export_lora(model, text(), r=3, folder=tmp_path)
    plain = PeftModel.from_pretrained(make("llama"), tmp_path)
    torch.testing.assert_close(logits(plain), logits(model), atol=1e-4, rtol=1e-3)


def test_a_head_trained_beside_it_goes_along(tmp_path):
    model = linear("llama", modules_to_save=["lm_head"])
    head = model.base_model.model.lm_head.modules_to_save["default"].weight
    head.data.add_(0.5)
    export_lora(model, text(), r=3, folder=tmp_path)
    plain = PeftModel.from_pretrained(make("llama"), tmp_path)
    assert torch.equal(plain.base_model.model.lm_head.modules_to_save["default"].weight, head)


@pytest.mark.slow
def test_the_exported_lora_needs_no_qtha_lab(tmp_path):
    export_lora(linear("llama"), text(), r=3, folder=tmp_path)
    code = (
        "import sys; from peft import PeftConfig, load_peft_weights;"
        f"c = PeftConfig.from_pretrained({str(tmp_path)!r}); w = load_peft_weights({str(tmp_path)!r});"
        "print(type(c).__name__, len(w) > 0, 'qtha_lab' in sys.modules)"
    )
    process = subprocess.run([*PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["LoraConfig", "True", "False"]


@pytest.mark.parametrize(
    ("options", "r", "setting", "value"),
    [
        ({}, 0, "r", "0"),
        ({"bias": "all"}, 2, "An exported adapter", "'default' with biases"),
    ],
)
def test_exports_that_cannot_be_are_refused(options, r, setting, value, tmp_path):
    with refused(setting, value):
        export_lora(linear("llama", **options), text(), r=r, folder=tmp_path)
    assert not any(tmp_path.iterdir())


# cards


def test_a_card_says_what_how_and_how_well(tmp_path):
    config = QthaConfig(r=4, waist=16, task_type="CAUSAL_LM", target_modules=["q_proj"])
    path = write_card(
        tmp_path, config, base_model="owner/base", task="qa",
        facts={"steps": 1200}, metrics={"eval_loss": 2.34567, "accuracy": None},
    )  # fmt: skip
    card = ModelCard.load(path)
    assert card.data.to_dict() == {
        "base_model": "owner/base",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["peft", "qtha", "qtha-lab"],
    }
    for part in (
        "pip install qtha-lab",
        "r = 4, waist = 16",
        "1,200",
        "| eval loss | 2.346 |",
        "`qa`",
    ):
        assert part in card.content
    assert "accuracy" not in card.content
    write_card(tmp_path, LoraConfig(r=2), base_model="b")
    assert "pip install" not in path.read_text()


HOSTILE = '/home/me/private/m")\nimport os; os.system("x")#`|<script>'


@pytest.mark.parametrize("config", [QthaConfig(r=2, waist=8), LoraConfig(r=2, task_type="CAUSAL_LM")])  # fmt: skip
def test_a_card_names_no_folder_and_takes_no_line_from_a_name(config, tmp_path):
    path = write_card(
        tmp_path, config, base_model=HOSTILE, task="/home/me/private/`texts`\n# Big.jsonl",
        facts={"seed|": "1 | 2\n| <img src=x>"},
    )  # fmt: skip
    content = ModelCard.load(path).content
    assert "/home" not in path.read_text()
    assert "private" not in path.read_text()
    code = content.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert "os.system" not in code
    assert "(BASE" in code
    assert "\n# Big" not in content
    assert "`` `texts` # Big.jsonl ``" in content
    assert r"| seed\| | 1 \| 2 \| \<img src=x\> |" in content
    assert re.search(r"(?<!\\)<", content) is None


def test_a_hub_id_with_a_quotation_mark_stays_inside_its_string(tmp_path):
    path = write_card(tmp_path, QthaConfig(r=2, waist=8), base_model='o/m")\nimport os#')
    code = path.read_text().split("```python\n")[1].split("```")[0]
    assert [type(node).__name__ for node in ast.parse(code).body] == ["ImportFrom", "Assign"]


def test_a_card_says_how_other_programs_load_a_known_base(tmp_path):
    path = write_card(tmp_path, LoraConfig(r=2, task_type="CAUSAL_LM"), base_model="smollm2-135m")
    assert 'from_pretrained("HuggingFaceTB/SmolLM2-135M-Instruct")' in path.read_text()
    path = write_card(
        tmp_path, QthaConfig(r=2, waist=8), base_model=str(data_dir() / "models/tiny")
    )
    assert 'load_model("tiny")' in path.read_text()


# settings of other versions


def saved(tmp_path, **changed):
    model = linear("llama")
    model.save_pretrained(tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    return model


def test_a_setting_of_another_version_is_named(tmp_path):
    saved(tmp_path, qtha_lab_version="9.1.0", spin=3)
    with refused(value="spin=3 of version 9.1.0"):
        load_adapter(make("llama"), tmp_path)


def test_a_value_this_version_does_not_take_is_named(tmp_path):
    saved(tmp_path, init="warm")
    with refused("The adapter in", "others: init must be one"):
        load_adapter(make("llama"), tmp_path)


def test_a_checkpoint_from_before_a_setting_loads_with_its_default(tmp_path):
    model = saved(tmp_path)
    file = tmp_path / "adapter_config.json"
    old = json.loads(file.read_text())
    for name in ("readout", "stand_in", "classical_layers", "qtha_lab_version"):
        del old[name]
    file.write_text(json.dumps(old))
    assert torch.equal(logits(load_adapter(make("llama"), tmp_path)), logits(model))


def test_tensors_are_safetensors_only(tmp_path):
    saved(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".safetensors", ".md"}
    assert load_file(tmp_path / "adapter_model.safetensors")
