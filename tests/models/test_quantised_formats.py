"""Adapters over 8-bit and 4-bit bases, quantised for real on this machine."""

import pytest
import torch
from peft.tuners.lora.layer import LoraLayer
from support.refusals import refused

from qtha_lab import models
from qtha_lab.adapters import add_adapter, get_method, load_adapter
from qtha_lab.adapters.peft import AdapterLayer, quantised_kind
from qtha_lab.experiment import Experiment, validation
from qtha_lab.experiment.plan import resolve
from qtha_lab.models.quantisation.formats import check_quantization

KINDS = ["int8", "int4"]
IDS = torch.randint(5, 4000, (2, 12), generator=torch.Generator().manual_seed(0))
OURS = {
    "qtha": {"r": 3, "waist": 16, "bond_dim": 2, "n_layers": 1},
    "quanta": {},
    "quantum_peft": {},
}


def tiny(quantization="none"):
    return models.load_model("tiny", quantization=quantization).model


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def adapted(name, kind, **options):
    torch.manual_seed(0)
    config = get_method(name).make_config("CAUSAL_LM", ["q_proj", "v_proj"], **options)
    return add_adapter(tiny(kind), config)


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_bits_keep_the_model_and_lose_some_of_it(kind):
    whole, quantised = logits(tiny()), tiny(kind)
    assert quantised_kind(quantised.model.layers[0].self_attn.q_proj) is not None
    assert quantised_kind(quantised.lm_head) is None
    lost = (logits(quantised) - whole).norm() / whole.norm()
    # rounding to n levels a row: 4 bits lose more than 8, neither all
    assert (1e-4 if kind == "int8" else 1e-2) < lost < (2e-2 if kind == "int8" else 0.3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OURS)
def test_our_methods_start_at_the_quantised_base_and_train_on_it(name, kind):
    model = adapted(name, kind, **OURS[name])
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    assert isinstance(layer, AdapterLayer)
    assert not isinstance(layer, LoraLayer)  # never LoRA in disguise
    assert quantised_kind(layer.get_base_layer()) is not None
    assert torch.equal(logits(model), logits(tiny(kind)))
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.dtype == torch.float32 for p in trained)
    optimiser = torch.optim.Adam(trained, lr=1e-2)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = model(IDS, labels=IDS).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_adapter_says_why_it_does_not_merge_into_few_bits(kind):
    model = adapted("quanta", kind)
    before = logits(model)
    with refused("The base weight", rule="be quantised", error=NotImplementedError):
        model.merge_adapter()
    assert torch.equal(logits(model), before)


def test_an_adapter_trained_over_few_bits_loads_over_few_bits(tmp_path):
    model = adapted("qtha", "int8", init_weights=False, **OURS["qtha"])
    model.save_pretrained(tmp_path)
    again = load_adapter(tiny("int8"), tmp_path)
    assert torch.equal(logits(again), logits(model))


def test_a_base_the_bridge_cannot_handle_is_refused_by_name():
    class Ternary(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(4, 4, dtype=torch.int8), False)

    model = torch.nn.Sequential()
    model.add_module("q_proj", Ternary())
    config = get_method("qtha").make_config(None, ["q_proj"], **OURS["qtha"])
    with refused("target_modules", "a Ternary"):
        add_adapter(model, config)


def test_wrong_kinds_and_missing_libraries_get_a_sentence(monkeypatch):
    with refused("quantization", "'int3'", remedy="'int8'"):
        check_quantization("int3")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused(
        "Quantisation 'int4' on the CPU",
        rule="without torchao",
        remedy='pip install "qtha-lab[quantized]"',
    ):
        validation.check_names(resolve(Experiment(quantization="int4")))


@pytest.mark.slow
def test_a_run_tells_what_the_bits_cost_beside_what_the_adapter_gained(tmp_path):
    from qtha_lab.experiment import Comparison
    from qtha_lab.studies.comparison import run_comparison

    comparison = Comparison(
        methods="lora(r=2)",
        quantization="int4",
        training={
            "steps": 3,
            "train_rows": 24,
            "eval_rows": 8,
            "test_rows": 8,
            "max_length": 32,
            "generate_rows": 0,
        },
    )
    summary = run_comparison(comparison, tmp_path)
    (entry,) = summary["runs"]
    assert entry["state"] == "finished"
    assert entry["quantization"] == "int4"
    assert entry["eval_loss_whole_base"] != entry["eval_loss_start"]
    cost = entry["eval_loss_start"] - entry["eval_loss_whole_base"]
    assert any(f"by {cost:.3f} before any training" in note for note in summary["notes"])
