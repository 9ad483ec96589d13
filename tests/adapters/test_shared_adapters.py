"""A saved adapter has its card, names its package where that is missing, and takes PEFT's names."""

import json
import subprocess
import sys

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils.hotswap import hotswap_adapter
from support.refusals import refused
from support.small_models import logits, make
from transformers import MixtralConfig, MixtralForCausalLM, Trainer, TrainingArguments

from qtha_lab import load_model
from qtha_lab.adapters import (
    QthaConfig,
    add_adapter,
    get_method,
    load_adapter,
    unadapted_experts_note,
)
from qtha_lab.adapters.peft.registration import OUR_METHODS
from qtha_lab.core.errors import Refusal, Unsupported
from qtha_lab.experiment import MethodChoice

SMALL = {"r": 2, "waist": 8, "bond_dim": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}


def adapted(**options):
    torch.manual_seed(0)
    return get_peft_model(make("llama"), QthaConfig(**(SMALL | options)))


def by_save_pretrained(folder):
    adapted().save_pretrained(folder)


def by_trainer(folder):
    arguments = TrainingArguments(str(folder), report_to=[], use_cpu=True)
    Trainer(adapted(), arguments).save_model(str(folder))


def by_add_adapter(folder):
    add_adapter(make("llama"), QthaConfig(**SMALL)).save_pretrained(folder)


def by_trainer_whose_card_comes_last(folder):
    arguments = TrainingArguments(str(folder), report_to=[], use_cpu=True)
    trainer = Trainer(adapted(), arguments)
    trainer.save_model(str(folder))
    trainer.create_model_card(tags="mine")  # as in push_to_hub


@pytest.mark.parametrize(
    "save", [by_save_pretrained, by_trainer, by_add_adapter, by_trainer_whose_card_comes_last]
)
def test_every_way_of_saving_writes_the_card(save, tmp_path):
    save(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "More Information Needed" not in card
    for part in (
        "# qtha adapter for",
        "pip install qtha-lab",
        "load_adapter(",
        "r = 2",
        "- qtha\n",
    ):
        assert part in card


def test_a_card_that_somebody_wrote_stays(tmp_path):
    by_save_pretrained(tmp_path)
    card = tmp_path / "README.md"
    card.write_text(card.read_text().replace("# qtha adapter for", "# My adapter, on"))
    by_save_pretrained(tmp_path)
    assert "# My adapter, on" in card.read_text()


@pytest.mark.filterwarnings("ignore:.*deprecated and will be removed:FutureWarning")
@pytest.mark.parametrize("is_last", [False, True])
def test_a_card_of_trl_keeps_its_training_procedure_and_tags_beside_ours(is_last, tmp_path):
    trl = pytest.importorskip("trl")
    base, rows = load_model("tiny"), Dataset.from_list([{"input_ids": [1, 2, 3]}])
    arguments = trl.SFTConfig(str(tmp_path), report_to=[], use_cpu=True)
    model = get_peft_model(base.model, QthaConfig(**SMALL))
    trainer = trl.SFTTrainer(model, arguments, train_dataset=rows, processing_class=base.tokenizer)
    calls = [lambda: trainer.create_model_card("name"), lambda: trainer.save_model(str(tmp_path))]
    for call in reversed(calls) if is_last else calls:
        call()
    card = (tmp_path / "README.md").read_text()
    for part in ("# qtha adapter for", "pip install qtha-lab", "- qtha\n", "- sft\n", "r = 2"):
        assert part in card
    assert "This model was trained with SFT" in card.partition("## Training procedure")[2]
    assert "pipeline(" not in card
    assert "base_model:adapter" not in card


def test_a_second_adapter_has_a_card_in_its_folder(tmp_path):
    model = adapted()
    model.add_adapter("second", QthaConfig(**SMALL))
    model.save_pretrained(tmp_path)
    assert "# qtha adapter for" in (tmp_path / "second" / "README.md").read_text()


ALONE = """
import sys
from peft import PeftModel
from torch import nn
PeftModel.from_pretrained(nn.Sequential(nn.Linear(4, 4)), sys.argv[1])
"""


@pytest.mark.slow
def test_the_error_of_peft_without_this_package_names_it(tmp_path):
    by_save_pretrained(tmp_path)
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "KeyError: 'QTHA (pip install qtha-lab, import qtha_lab)'"


@pytest.mark.parametrize("kind", ["QTHA", "QTHA (pip install qtha-lab, import qtha_lab)"])
def test_adapters_load_with_the_plain_type_of_earlier_versions_too(kind, tmp_path):
    model = adapted(init_weights=False)
    model.save_pretrained(tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"peft_type": kind}))
    for load in (load_adapter, PeftModel.from_pretrained):
        assert torch.equal(logits(load(make("llama"), tmp_path)), logits(model))


# PEFT's options


def test_names_of_lora_are_accepted():
    config = QthaConfig(**SMALL, lora_alpha=6.0, lora_dropout=0.1, init_lora_weights=False)
    assert (config.alpha, config.dropout, config.init_weights) == (6.0, 0.1, False)
    assert QthaConfig(**SMALL, bias="lora_only") == QthaConfig(**SMALL, bias="qtha_only")
    made = get_method("qtha").make_config(target_modules=["q_proj"], r=2, lora_alpha=6.0)
    assert made.alpha == 6.0
    with refused("alpha", "lora_alpha beside it"):
        QthaConfig(**SMALL, alpha=2.0, lora_alpha=6.0)


REFUSED_OPTIONS = {
    "target_parameters": ["experts.gate_up_proj"],
    "trainable_token_indices": [1, 2],
    "layer_replication": [[0, 1]],
    "ensure_weight_tying": True,
    "use_dora": True,
    "lora_bias": True,
    "fan_in_fan_out": True,
    "loftq_config": {"loftq_bits": 4},
    "alora_invocation_tokens": [1],
    "use_qalora": True,
}


@pytest.mark.parametrize(("option", "value"), REFUSED_OPTIONS.items())
def test_options_without_a_counterpart_are_refused_with_a_remedy(option, value):
    sentence = rf"{option} must be empty for this method, got .*\. (Use|Name|Replicate|Remove)"
    with pytest.raises(Refusal, match=sentence):
        QthaConfig(**SMALL, **{option: value})
    with pytest.raises(Refusal, match=sentence):
        get_method("qtha").check({option: value})
    assert not getattr(QthaConfig(**SMALL, **{option: None}), option, None)


def test_defaults_of_lora_are_accepted():
    ours = QthaConfig.__dataclass_fields__
    theirs = {n: v for n, v in vars(LoraConfig()).items() if n not in (*ours, "lora_alpha")}
    assert QthaConfig(**SMALL, **theirs) == QthaConfig(**SMALL)


def test_uses_that_sum_or_swap_tensors_are_refused_in_a_sentence(tmp_path):
    model = adapted()
    model.add_adapter("second", QthaConfig(**SMALL))
    with refused("add_weighted_adapter", rule="be called for qtha", error=Unsupported):
        model.add_weighted_adapter(["default", "second"], [0.5, 0.5], "both")
    with refused("adapter_names", rule="empty for qtha adapters", error=Unsupported):
        model(input_ids=torch.arange(4).view(2, 2), adapter_names=["default", "second"])
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"Hotswapping only supports .* but QTHA was passed"):
        hotswap_adapter(model, str(tmp_path), "default", torch_device="cpu")
    with pytest.raises(ValueError, match="not compatible"):
        get_peft_model(make("llama"), QthaConfig(**SMALL), mixed=True)


def mixtral():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "vocab_size": 64}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 4}
    return MixtralForCausalLM(MixtralConfig(**sizes, **heads)).eval()


@pytest.mark.parametrize("targets", [["q_proj"], "all-linear"])
def test_routed_experts_without_adapters_are_named(targets, caplog):
    model = mixtral()
    experts = sum(p.numel() for n, p in model.named_parameters() if ".experts." in n)
    share = f"{experts / model.num_parameters():.0%}"
    with caplog.at_level("WARNING"):
        adapted = get_peft_model(model, QthaConfig(**(SMALL | {"target_modules": targets})))
    assert f"Routed experts have {share} of the parameters and no adapter" in caplog.text
    adapted.unload()
    reached = LoraConfig(target_modules=[], target_parameters=["experts.gate_up_proj"])
    assert unadapted_experts_note(get_peft_model(model, reached)) == ""
    assert unadapted_experts_note(make("llama")) == ""


LINEAR_FORMS = [
    (name, form)
    for name, method in OUR_METHODS.items()
    for form, options in method.examples.items()
    if method.config_class.change_class.is_linear(
        method.config_class(**method.config_options(dict(options)))
    )
]


@pytest.mark.parametrize(("name", "form"), LINEAR_FORMS)
def test_linear_methods_adapt_routed_experts(name, form, tmp_path):
    method, plain = get_method(name), mixtral()
    parameters = ["experts.gate_up_proj", "experts.down_proj"]
    options = method.config_options(dict(method.examples[form])) | {"target_parameters": parameters}
    unchanged = get_peft_model(mixtral(), method.config_class(**options))
    torch.testing.assert_close(logits(unchanged), logits(plain))
    model = get_peft_model(mixtral(), method.config_class(**options, init_weights=False)).eval()
    model(input_ids=torch.arange(8).view(2, 4)).logits.square().sum().backward()
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(grad is not None for grad in trained.values())
    assert unadapted_experts_note(model) == ""
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(mixtral(), str(tmp_path)).eval()
    torch.testing.assert_close(logits(loaded), logits(model))
    merged = loaded.merge_and_unload()
    assert not any("base_layer" in name for name in merged.state_dict())
    torch.testing.assert_close(logits(merged), logits(model))
    assert all(not torch.equal(*p) for p in zip(*map(expert_weights, (merged, plain)), strict=True))


def expert_weights(model):
    return [parameter for n, parameter in model.named_parameters() if ".experts." in n]


def test_adapters_of_two_methods_stand_side_by_side_without_a_mixed_model():
    torch.manual_seed(0)
    model = make("llama")
    model.add_adapter(QthaConfig(**SMALL, init_weights=False), "ours")
    model.add_adapter(LoraConfig(r=2, target_modules=["v_proj"], init_lora_weights=False), "theirs")
    outputs = {}
    for names in (["ours"], ["theirs"], ["ours", "theirs"]):
        model.set_adapter(names)
        outputs[len(outputs)] = logits(model)
    assert not torch.equal(outputs[2], outputs[0])
    assert not torch.equal(outputs[2], outputs[1])


def test_a_list_of_methods_takes_the_names_of_lora():
    choice = MethodChoice.parse("qtha(r=4,lora_alpha=8)")
    config = get_method(choice.name).make_config(target_modules=["q_proj"], **choice.options)
    assert config.alpha == 8
