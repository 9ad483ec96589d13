"""The wider part of the method contract: the base layer, shared tensors, convolutions, ranks per
layer.

Tried with the three methods in `examples/` that need it, written as plugins are.
"""

import copy
import sys
from pathlib import Path

import pytest
import torch
from peft import HiraConfig, get_peft_model
from safetensors.torch import load_file
from support.refusals import refused
from torch import nn
from transformers import AutoModelForCausalLM

from qtha_lab.adapters import (
    QthaConfig,
    add_adapter,
    count_trainable,
    get_method,
    load_adapter,
    weigh,
)
from qtha_lab.adapters.adapted_model import adapted_layers
from qtha_lab.adapters.budget import for_budget
from qtha_lab.adapters.peft.config import as_matrix, inputs_of, outputs_of, quantised_kind
from qtha_lab.core.plugin_loading import load_plugins, module_name
from qtha_lab.experiment import Experiment, MethodChoice
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.models import load_model
from qtha_lab.testing import check_plugin
from qtha_lab.testing.checking import registries
from tests.support.small_models import logits, make

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ["hadamard", "shared_projections", "whole_network"]
TARGETS = ["q_proj", "v_proj", "down_proj"]  # three sizes


@pytest.fixture(scope="module", autouse=True)
def _examples():
    files = [str(EXAMPLES / f"{name}.py") for name in NAMES]
    load_plugins(files)
    yield
    for module in map(module_name, files):
        del sys.modules[module]
        for registry in registries():
            registry.forget(module)


def config_of(name, **options):
    method = get_method(name)
    return method.make_config("CAUSAL_LM", list(TARGETS), **(method.examples["small"] | options))


def adapted(name, init_weights=False, **options):
    base = make("llama")
    torch.manual_seed(1)
    return add_adapter(base, config_of(name, init_weights=init_weights, **options))


def layers_of(model):
    return [m for m in model.modules() if hasattr(m, "adapter_tensors")]


@pytest.mark.parametrize("name", NAMES)
def test_merged_equals_unmerged_also_beside_another_merged_adapter(name):
    model = adapted(name)
    torch.manual_seed(2)
    model.add_adapter("second", config_of(name, init_weights=False))
    model.base_model.set_adapter(["default", "second"])
    expected = logits(model)
    model.merge_adapter(["default", "second"])
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=1e-4)
    model.unmerge_adapter()
    assert torch.equal(logits(model), expected)


# the base layer


def test_hadamard_is_hira_of_peft():
    ours = adapted("hadamard", r=3)
    theirs = get_peft_model(make("llama"), HiraConfig(r=3, target_modules=list(TARGETS)))
    mine = {name: m for name, m in ours.named_modules() if hasattr(m, "adapter_tensors")}
    for name, module in theirs.named_modules():
        if hasattr(module, "hira_A"):
            tensors = mine[name].adapter_tensors("default")
            module.hira_A["default"].data.copy_(tensors["A"])
            module.hira_B["default"].data.copy_(tensors["B"])
    torch.testing.assert_close(logits(ours), logits(theirs), atol=1e-5, rtol=1e-5)


def test_the_base_weight_is_that_of_the_layer_whatever_its_layout():
    model = make("gpt2")
    torch.manual_seed(0)
    config = get_method("hadamard").make_config("CAUSAL_LM", ["c_attn"], r=2, init_weights=False)
    model = add_adapter(model, config)
    layer = layers_of(model)[0]
    tensors = layer.adapter_tensors("default")
    x = torch.randn(3, layer.in_features)
    weight = layer.get_base_layer().weight.T
    expected = layer.get_base_layer()(x) + x @ (weight * (tensors["B"] @ tensors["A"])).T
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


OUTPUT_SCALE = """
import dataclasses
from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method

@dataclasses.dataclass
class OutputScaleConfig(AdapterConfig):
    pass

@method("output_scale", OutputScaleConfig, summary="One factor per output.", equation="y = (1 + s) W x",
        source="a test", default_learning_rate=1e-2)
class OutputScale(Change):
    def n_parameters(self): return self.layer.out_features
    def tensors(self): return {"s": TensorSpec((self.layer.out_features,))}
    def initialise(self, tensors):
        tensors["s"].zero_() if self.config.init_weights else tensors["s"].normal_()
    def delta(self, tensors, x, base): return tensors["s"] * base.output
"""


def test_the_base_output_is_without_the_bias_so_that_a_scale_of_it_merges(tmp_path):
    (tmp_path / "output_scale.py").write_text(OUTPUT_SCALE)
    assert all(verdict.holds for verdict in check_plugin(str(tmp_path / "output_scale.py")))
    linear = nn.Sequential(nn.Linear(5, 3))
    nn.init.normal_(linear[0].bias)
    base = copy.deepcopy(linear)
    config = get_method("output_scale").make_config(target_modules=["0"], init_weights=False)
    model = add_adapter(linear, config)
    x = torch.randn(4, 5)
    scale = 1 + layers_of(model)[0].adapter_tensors("default")["s"]
    torch.testing.assert_close(model(x), scale * (base(x) - base[0].bias) + base[0].bias)
    torch.testing.assert_close(
        model.merge_and_unload()(x), scale * (x @ base[0].weight.T) + base[0].bias
    )


def test_a_quantised_base_weight_is_read_as_it_multiplies():
    targets = ["q_proj", "v_proj"]
    config = get_method("hadamard").make_config("CAUSAL_LM", targets, r=2, init_weights=False)
    torch.manual_seed(0)
    model = add_adapter(load_model("tiny", quantization="int8").model, config)
    layer = layers_of(model)[0]
    base, tensors = layer.get_base_layer(), layer.adapter_tensors("default")
    assert quantised_kind(base) is not None
    weight = base(torch.eye(layer.in_features)).T
    x = torch.randn(3, layer.in_features)
    expected = x @ (weight * (tensors["B"] @ tensors["A"])).T
    torch.testing.assert_close(layer(x) - base(x), expected, atol=1e-2, rtol=1e-2)
    with refused("The base weight", "Int8Tensor"):
        model.merge_and_unload()


# shared tensors


def test_shared_tensors_are_stored_saved_and_counted_once(tmp_path):
    model = adapted("shared_projections", r=5)
    layers = layers_of(model)
    frozen = [b for name, b in model.named_buffers() if "shared_frozen_A" in name]
    assert [tuple(b.shape) for b in frozen] == [(5, 40)]  # down_proj's 40 inputs are the most
    for layer in layers:
        assert layer.adapter_tensors("default")["A"] is layers[0].adapter_tensors("default")["A"]
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum("shared_frozen_A" in key for key in saved) == 1
    assert len(saved) == 2 * len(layers) + 2


def test_trained_shared_tensors_count_once_in_every_count():
    config = config_of("whole_network")
    base = make("llama")
    layers = adapted_layers(base, config)
    weights = sum(layer.in_features * layer.out_features for layer in layers)
    n = (weights - 1) // 20  # chunks of 20, less one
    n_qubits = n.bit_length()
    by_hand = 2 * n_qubits + 5 * (n_qubits + 1) + 5 + 20 * 5 + 20
    assert config.n_parameters_of(layers) == count_trainable(base, config) == by_hand
    assert len(layers) > 1


def test_all_layers_together_hold_the_list_of_weights_of_one_circuit():
    model = adapted("whole_network")
    layers = layers_of(model)
    parts = torch.cat([layer.delta_weight("default").flatten() for layer in layers])
    alone = copy.deepcopy(layers[0].changes["default"])
    alone.start_at, alone.n_weights = 0, len(parts)
    tensors = layers[0].adapter_tensors("default")
    whole = alone.delta_weight(tensors).flatten()
    torch.testing.assert_close(parts, whole)


def test_adapters_that_share_tensors_do_not_touch_each_other():
    model = adapted("whole_network")
    first = logits(model)
    torch.manual_seed(5)
    model.add_adapter("second", config_of("whole_network", init_weights=False))
    model.set_adapter("second")
    second = logits(model)
    assert not torch.equal(first, second)
    with weigh(model, {"default": 1.0, "second": 1.0}):
        both = logits(model)
    assert not torch.equal(both, second)
    model.delete_adapter("default")
    assert torch.equal(logits(model), second)
    assert not any(".default" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", ["shared_projections", "whole_network"])
def test_a_copy_and_a_pickle_share_among_themselves(name, tmp_path):
    model = adapted(name)
    torch.save(model, tmp_path / "model.pt")
    for twin in (copy.deepcopy(model), torch.load(tmp_path / "model.pt", weights_only=False)):
        layers = layers_of(twin)
        shared = next(iter(layers[0].changes["default"].shared_tensors()))
        tensors = [layer.adapter_tensors("default")[shared] for layer in layers]
        assert all(tensor is tensors[0] for tensor in tensors)
        assert tensors[0] is not layers_of(model)[0].adapter_tensors("default")[shared]
        assert torch.equal(logits(twin), logits(model))


def test_transformers_itself_loads_shared_tensors(tmp_path):
    model = adapted("shared_projections")
    model.save_pretrained(tmp_path / "adapter")
    make("llama").save_pretrained(tmp_path / "base")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    loaded.load_adapter(str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(loaded), logits(model))


def test_a_shared_tensor_of_two_sizes_is_refused(tmp_path):
    source = (EXAMPLES / "shared_projections.py").read_text()
    source = source.replace('"shared_projections"', '"two_sizes"').replace(
        "widest_in, widest_out = map(max, zip(*self.layer.sizes, strict=True))",
        "widest_in, widest_out = self.layer.in_features, self.layer.out_features",
    )
    (tmp_path / "two_sizes.py").write_text(source)
    load_plugins([str(tmp_path / "two_sizes.py")])
    config = get_method("two_sizes").make_config("CAUSAL_LM", list(TARGETS), r=2)
    with refused(remedy="Give other shapes other names"):
        add_adapter(make("llama"), config)


# convolutions

CONVOLUTIONS = [
    nn.Conv1d(3, 4, 3, padding=1),
    nn.Conv1d(2, 5, 2, stride=2, dilation=3, padding=2, padding_mode="reflect"),
    nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0)),
    nn.Conv2d(2, 3, 3, dilation=2, padding="same", padding_mode="circular", bias=False),
    nn.Conv2d(2, 3, 1),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one", "batch"])
def test_a_convolution_is_a_matrix_times_its_patches(layer, batch):
    size = (11,) if isinstance(layer, nn.Conv1d) else (9, 8)
    x = torch.randn(*batch, layer.in_channels, *size)
    rows = inputs_of(x, layer) @ as_matrix(layer.weight, layer).T
    bias = 0 if layer.bias is None else layer.bias
    torch.testing.assert_close(outputs_of(rows + bias, layer), layer(x), atol=1e-5, rtol=1e-5)


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2), nn.Flatten()
    )


@pytest.mark.parametrize(
    "options", [{}, {"use_circuit": False}], ids=["with a circuit", "without one"]
)
def test_an_adapter_on_a_convolution_trains_saves_and_merges_where_it_is_linear(options, tmp_path):
    config = QthaConfig(r=3, waist=8, bond_dim=2, n_layers=1, target_modules=["0", "2"], **options)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(add_adapter(convolutional(), config)(x), convolutional()(x))
    model = add_adapter(convolutional(), QthaConfig(**{**config.to_dict(), "init_weights": False}))
    out = model(x)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert count_trainable(convolutional(), config) == config.n_parameters(
        27, 8
    ) + config.n_parameters(72, 4)
    model.save_pretrained(tmp_path)
    assert torch.equal(load_adapter(convolutional(), tmp_path)(x), out)
    if "use_circuit" in options:
        torch.testing.assert_close(model.merge_and_unload()(x), out, atol=1e-5, rtol=1e-4)
    else:
        with refused("Adapter 'default'", rule="cannot be merged"):
            model.merge_and_unload()


def test_a_method_that_reads_the_base_weight_reads_that_of_a_convolution():
    model = convolutional()
    config = get_method("hadamard").make_config(target_modules=["2"], r=2, init_weights=False)
    model = add_adapter(model, config)
    x = torch.randn(2, 3, 8, 8)
    out = model(x)
    torch.testing.assert_close(model.merge_and_unload()(x), out, atol=1e-5, rtol=1e-4)


def test_a_convolution_of_several_groups_is_refused():
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2))
    with refused("target_modules", "a Conv2d of 2 groups"):
        add_adapter(model, QthaConfig(r=2, waist=8, target_modules=["0"]))


# ranks, scalings and dropout


def small_qtha(**options):
    return QthaConfig(
        **{"r": 4, "waist": 8, "bond_dim": 2, "target_modules": ["q_proj", "v_proj"], **options}
    )


def test_layers_named_by_a_pattern_have_a_rank_and_a_scaling_of_their_own(tmp_path):
    config = small_qtha(
        rank_pattern={"v_proj": 2}, alpha_pattern={r"layers\.0\.self_attn\.q_proj": 12.0}
    )
    base = make("llama")
    config.init_weights = False
    model = add_adapter(base, config)
    changes = {m.changes["default"].layer.name: m.changes["default"] for m in layers_of(model)}
    ranks = {name.rpartition(".")[2]: change.config.r for name, change in changes.items()}
    assert ranks == {"q_proj": 4, "v_proj": 2}
    scales = [c.config.scale for name, c in changes.items() if name.endswith("q_proj")]
    assert scales == [12 / 4, 2.0]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == config.n_parameters_of([c.layer for c in changes.values()])
    assert trained == count_trainable(make("llama"), config)
    model.save_pretrained(tmp_path)
    loaded = load_adapter(make("llama"), tmp_path)
    assert loaded.peft_config["default"].rank_pattern == {"v_proj": 2}
    assert torch.equal(logits(loaded), logits(model))


def test_a_rank_outside_the_limits_of_r_is_refused():
    with refused("rank_pattern['v_proj']", "0"):
        small_qtha(rank_pattern={"v_proj": 0})
    with refused("alpha_pattern['v_proj']", "-1"):
        small_qtha(alpha_pattern={"v_proj": -1})


@pytest.mark.parametrize("name", ["qtha", "qpa", "quantum_peft"])
def test_rank_stabilised_scaling_is_alpha_over_the_root_of_r(name):
    config_class = get_method(name).config_class
    assert config_class(r=4, alpha=6.0).scale == 6 / 4
    assert config_class(r=4, alpha=6.0, use_rslora=True).scale == 6 / 2
    assert "use_rslora" in get_method(name).settings()


def test_a_budget_is_met_with_a_rank_pattern():
    base = make("llama")
    config = for_budget(
        QthaConfig,
        base,
        trainable_parameters=1500,
        target_modules=["q_proj", "v_proj"],
        rank_pattern={"v_proj": 2},
        n_layers=1,
    )
    assert config.rank_pattern == {"v_proj": 2}
    assert 1000 < count_trainable(base, config) <= 1500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qtha", "hadamard"])
def test_dropout_acts_on_the_input_while_training_and_not_after(name):
    options = {"waist": 8, "bond_dim": 2, "use_circuit": False} if name == "qtha" else {}
    method = get_method(name)
    config = method.make_config(
        target_modules=["0"], r=2, dropout=0.5, init_weights=False, **options
    )
    model = add_adapter(nn.Sequential(nn.Linear(16, 8)), config)
    x = torch.randn(1, 16)
    remaining = model.eval()(x)
    assert torch.equal(remaining, model(x))
    base = layers_of(model)[0].get_base_layer()(x)
    model.train()
    torch.manual_seed(0)
    trials = torch.stack([model(x) for _ in range(2000)])
    assert not torch.equal(trials[0], trials[1])
    # the mean of the changes is the change without dropout, for a linear method
    spread = trials.std(0) / 2000**0.5
    assert ((trials.mean(0) - remaining).abs() < 5 * spread + 1e-6).all()
    assert not torch.equal(remaining, base)
    assert list(method.settings())[-1] == "dropout"


def test_a_list_of_methods_tells_patterns_apart():
    plain = MethodChoice(name="qtha", options={"r": 4})
    patterned = MethodChoice(name="qtha", options={"r": 4, "rank_pattern": {"v_proj": 2}})
    assert plain.label == "qtha(r=4)"
    assert patterned.label == "qtha(r=4,rank_pattern={v_proj:2})"
    assert MethodChoice.parse(patterned.label) == patterned
    quoted = MethodChoice(name="qtha", options={"alpha_pattern": {r"layers\.(0|1)\.q_proj": 2.5}})
    assert MethodChoice.parse(quoted.label) == quoted


@pytest.mark.slow
def test_an_experiment_with_a_rank_pattern_is_written_read_and_counted(tmp_path):
    experiment = Experiment(method="qtha(r=4,waist=8,bond_dim=2,rank_pattern={v_proj:2})")
    (tmp_path / "experiment.yaml").write_text(experiment.to_yaml())
    assert Experiment.from_yaml(tmp_path / "experiment.yaml") == experiment
    plain = Experiment(method="qtha(r=4,waist=8,bond_dim=2)")
    counts = [preview(e).trainable_parameters for e in (experiment, plain)]
    assert counts[0] < counts[1]
