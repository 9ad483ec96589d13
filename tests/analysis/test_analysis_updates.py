"""Updates of live models in every view: against layer outputs, torch.func and hand arithmetic."""

import json
import math

import numpy as np
import pytest
import torch
from peft.tuners.lora.intruders import reduce_intruder_dimension
from peft.tuners.tuners_utils import BaseTunerLayer
from support.refusals import refused
from support.small_models import TARGETS, TOKENS, make

from qtha_lab import adapters
from qtha_lab.analysis import (
    VIEWS,
    bonds_of,
    capture_inputs,
    intruder_dimensions,
    jacobians_of,
    linear_fit,
    share_curve,
    snapshot,
    updates_of,
    view_updates,
)
from qtha_lab.analysis.updates.sketch import leading_svd
from qtha_lab.analysis.updates.update import adapted_layers, base_weight
from qtha_lab.models import load_model

OURS = [name for name in adapters.method_names() if adapters.get_method(name).ours]
EXAMPLES = [(name, example) for name in OURS for example in adapters.get_method(name).examples]
PEFTS = [name for name in adapters.method_names() if not adapters.get_method(name).ours]
TOKENS_80 = torch.arange(80).reshape(4, 20) % 45 + 3
MASK = torch.ones_like(TOKENS_80)
# QTHA as published (no wide readout), small, and away from its zero start
PUBLISHED = {"r": 3, "waist": 12, "bond_dim": 2, "n_sites": 3, "n_layers": 2, "init_weights": False}


def shaken(model):
    """The same model with every adapter tensor away from its start."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.3 * torch.randn(p.shape, generator=random))
    return model


def with_adapter(name, base="llama", **options):
    torch.manual_seed(1)
    config = adapters.get_method(name).make_config(target_modules=list(TARGETS[base]), **options)
    return shaken(adapters.add_adapter(make(base), config)).eval()


def activations(model, **more):
    return capture_inputs(model, {"input_ids": TOKENS_80, "attention_mask": MASK}, **more)


def small(name):
    settings = adapters.get_method(name).settings()
    return {k: v for k, v in {"r": 3, "n_frequency": 50}.items() if k in settings}


# the update on its own


def assert_update_is_what_the_layer_adds(model):
    inputs = activations(model, max_tokens=9)
    layers = adapted_layers(model)
    seen = 0
    for update in updates_of(model):
        x = inputs[update.name].float()
        layer = layers[update.name]
        with torch.no_grad():
            added = layer(x) - layer.get_base_layer()(x)
            alone = update.delta(x.double())
        assert (alone - added).norm() <= 1e-3 * added.norm()  # float32 beside float64
        assert added.norm() > 0
        if update.is_linear:
            matrix = update.linear_path()
            torch.testing.assert_close(x.double() @ matrix.mT, alone, atol=1e-9, rtol=1e-7)
        seen += 1
    assert seen == len(layers)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{n}-{e}" for n, e in EXAMPLES])
def test_an_update_of_ours_is_what_the_layer_adds(name, example):
    options = adapters.get_method(name).examples[example]
    assert_update_is_what_the_layer_adds(with_adapter(name, **{**options, "init_weights": False}))


@pytest.mark.parametrize("name", PEFTS)
def test_an_update_of_pefts_is_what_the_layer_adds(name):
    assert_update_is_what_the_layer_adds(with_adapter(name, **small(name)))


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")  # peft sets it itself
@pytest.mark.parametrize("base", ["gpt2", "bert"])
@pytest.mark.parametrize("name", ["lora", "dora", "qtha"])
def test_other_kinds_of_layers_are_read_alike(name, base):
    options = PUBLISHED if name == "qtha" else small(name)
    assert_update_is_what_the_layer_adds(with_adapter(name, base, **options))


def test_pefts_methods_here_are_all_recognised_as_linear():
    for name in PEFTS:
        assert all(u.is_linear for u in updates_of(with_adapter(name, **small(name)))), name


def test_a_second_adapter_is_looked_at_by_name_and_leaves_the_first_active():
    model = with_adapter("lora", r=2)
    model.add_adapter(
        "other", adapters.get_method("lora").make_config(None, ["q_proj", "v_proj"], r=5)
    )
    shaken_other = next(iter(adapted_layers(model).values())).lora_B["other"].weight
    torch.nn.init.normal_(shaken_other)
    first = next(iter(updates_of(model, "other")))
    assert first.factors[0].shape[1] == 5
    assert next(iter(updates_of(model))).factors[0].shape[1] == 2
    assert model.active_adapters == ["default"]


def test_updates_over_a_quantised_base_are_read_where_that_can_be_exact():
    whole = load_model("tiny").model.model.layers[0].self_attn.q_proj.weight
    for name, options in (("lora", {"r": 2}), ("qtha", PUBLISHED), ("dora", {"r": 2})):
        method = adapters.get_method(name)
        base = load_model("tiny", quantization="int8").model
        model = adapters.add_adapter(base, method.make_config(None, ["q_proj"], **options))
        if name == "dora":
            with refused("The base of TorchaoLoraLinear", "Int8Tensor"):
                next(iter(updates_of(model)))
            continue
        assert next(iter(updates_of(model))).in_features == 192
        layer = next(iter(adapted_layers(model).values()))
        assert (base_weight(layer) - whole).norm() < 0.02 * whole.norm()


# what the layers are fed


def test_captured_inputs_are_the_real_tokens_and_nothing_of_the_padding():
    model = with_adapter("lora", r=2).train()
    mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]])
    caught = capture_inputs(model, {"input_ids": TOKENS, "attention_mask": mask})
    seen = {}
    module = model.get_submodule("base_model.model.model.layers.1.self_attn.v_proj")
    module.register_forward_pre_hook(lambda _, args: seen.update(x=args[0].detach()))
    with torch.no_grad():
        model.eval()(input_ids=TOKENS, attention_mask=mask)
    torch.testing.assert_close(caught["model.layers.1.self_attn.v_proj"], seen["x"][mask.bool()])
    assert list(caught) == list(adapted_layers(model))


def test_capturing_keeps_as_many_tokens_as_asked_the_same_at_every_layer_and_leaves_the_mode():
    model = with_adapter("lora", r=2).train()
    batches = [{"input_ids": TOKENS}, {"input_ids": TOKENS_80, "labels": TOKENS_80}]
    caught = capture_inputs(model, batches, max_tokens=17)
    assert {len(x) for x in caught.values()} == {17}
    again = capture_inputs(model, batches, max_tokens=17)
    assert all(torch.equal(caught[name], again[name]) for name in caught)
    first, second = (f"model.layers.0.self_attn.{kind}_proj" for kind in "qv")
    assert torch.equal(caught[first], caught[second])  # both read the same normalised stream
    assert model.training


# the rank cannot pass the bottleneck


def ranks_by_view(model, inputs):
    result = {}
    for view in view_updates(model, inputs):
        result.setdefault(view.view, set()).add(view.spectrum.numerical_rank())
    return result


def test_lora_does_not_exceed_r_in_any_view():
    model = with_adapter("lora", r=3)
    inputs = activations(model, max_tokens=30)
    assert ranks_by_view(model, inputs) == {view: {3} for view in VIEWS}


def test_lora_does_not_exceed_r_by_the_general_road_either():
    model = with_adapter("lora", r=3)
    inputs = activations(model, max_tokens=30)
    for update in updates_of(model):
        result = jacobians_of(update.delta, inputs[update.name])
        by_factors = torch.linalg.svdvals(update.linear_path())[:3].numpy()
        np.testing.assert_allclose(result.mean_spectrum().values[:3], by_factors, rtol=1e-6)
        stacked = result.stacked_spectrum()
        np.testing.assert_allclose(stacked.values[:3], math.sqrt(30) * by_factors, rtol=1e-6)
        assert stacked.numerical_rank() == result.stacked_spectrum("columns").numerical_rank() == 3
        assert result.token_dependence == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("fusion", ["sum", "hadamard"])
def test_qtha_as_published_does_not_exceed_r_in_any_view(fusion):
    model = with_adapter("qtha", **PUBLISHED, fusion=fusion)
    inputs = activations(model, max_tokens=30)  # r = 3 < 30 tokens
    result = ranks_by_view(model, inputs)
    assert set(result) == set(VIEWS) - ({"linear_path"} if fusion == "hadamard" else set())
    assert all(ranks == {3} for ranks in result.values())
    for update in updates_of(model):
        gradients = jacobians_of(update.delta, inputs[update.name])
        assert gradients.stacked_spectrum("columns").numerical_rank() == 3
        assert gradients.token_dependence > 0.01


def test_a_wide_readout_reaches_more_output_directions_than_r_but_reads_only_r():
    # ⟨Z_i⟩ and ⟨Z_i Z_j⟩ of 3 qubits are 6 numbers; h has 3 (methods.md 1.11)
    model = with_adapter("qtha", **PUBLISHED, readout="z+zz")
    inputs = activations(model, max_tokens=30)
    result = ranks_by_view(model, inputs)
    assert result["realised_change"] == {6}
    assert result["linear_path"] == result["stacked_jacobians"] == {3}
    for update in updates_of(model):
        gradients = jacobians_of(update.delta, inputs[update.name])
        assert gradients.stacked_spectrum("columns").numerical_rank() == 6


def test_a_zero_update_has_rank_zero_in_every_view():
    config = adapters.get_method("qtha").make_config(
        target_modules=["q_proj"], **{**PUBLISHED, "init_weights": True}
    )
    model = adapters.add_adapter(make("llama"), config)
    for view in view_updates(model, activations(model, max_tokens=10)):
        assert view.spectrum.numerical_rank() == 0
        assert view.spectrum.norm == 0


def test_rows_of_the_table_are_plain_data():
    model = with_adapter("qtha", **PUBLISHED)
    views = view_updates(model, activations(model, max_tokens=10))
    assert len(views) == 4 * len(adapted_layers(model))
    rows = json.loads(json.dumps([view.row() for view in views]))
    assert rows[0]["layer"] == "model.layers.0.self_attn.q_proj"
    assert [rows[0]["view"], rows[0]["block"], rows[0]["tokens"]] == ["linear_path", 0, 0]
    assert rows[1]["tokens"] == 10
    assert len(rows[0]["singular_values"]) == 3


# Jacobians


def test_jacobians_agree_with_torch_func():
    model = with_adapter("qtha", **PUBLISHED, engine="torch")
    update = next(iter(updates_of(model)))
    x = activations(model, max_tokens=5)[update.name].double()
    gradients = torch.func.vmap(torch.func.jacrev(lambda v: update.delta(v[None])[0]))(x)
    result = jacobians_of(update.delta, x)
    torch.testing.assert_close(
        result.left @ result.cores @ result.right, gradients, atol=1e-7, rtol=1e-6
    )
    torch.testing.assert_close(result.mean, gradients.mean(0), atol=1e-7, rtol=1e-6)
    by_hand = torch.linalg.svdvals(gradients.reshape(-1, gradients.shape[2])).numpy()
    np.testing.assert_allclose(result.stacked_spectrum().values[:3], by_hand[:3], rtol=1e-6)


def test_the_gradients_of_squares_are_known():
    # J = 2 diag(x): at x = (1, 3) and (3, 1) the mean is 4·I, Σ‖J_t‖² = 2 (4 + 36) = 80,
    # Σ‖J_t - J̄‖² = 2 · (4 + 4) = 16, and each column of the stack has length √(4 + 36)
    x = torch.tensor([[1.0, 3.0], [3.0, 1.0]], dtype=torch.float64)
    result = jacobians_of(lambda x: x**2, x)
    np.testing.assert_allclose(result.mean_spectrum().values, [4, 4])
    np.testing.assert_allclose(result.stacked_spectrum().values, [math.sqrt(40)] * 2)
    assert result.token_dependence == pytest.approx(16 / 80)


def test_a_frame_that_is_too_small_says_what_it_misses():
    torch.manual_seed(0)
    x = torch.randn(6, 60, dtype=torch.float64)
    matrix = torch.linalg.qr(torch.randn(60, 60, dtype=torch.float64)).Q
    result = jacobians_of(lambda x: x @ matrix.mT, x, max_rank=4)
    assert result.cores.shape[1:] == (12, 12)  # 4 and 8 more
    whole = math.sqrt(6 * 60)  # six orthogonal matrices of norm √60
    # the columns of Q's frame hold 12 of 60 dimensions, P's likewise
    assert result.missing > math.sqrt(1 - 12 / 60) * whole * 0.9
    assert not result.mean_spectrum().exact


# live recording


@pytest.mark.parametrize(("name", "options"), [("lora", {"r": 3}), ("qtha", PUBLISHED)])
def test_a_snapshot_is_the_linear_path_of_the_table(name, options):
    model = with_adapter(name, **options)
    taken = json.loads(json.dumps(snapshot(model)))
    assert taken["left_out"] == 0
    for view in view_updates(model):
        row = taken["layers"][view.layer]
        np.testing.assert_allclose(row["singular_values"], view.spectrum.values, rtol=1e-4)
        assert row["effective_rank"] == pytest.approx(view.spectrum.effective_rank, rel=1e-4)


def test_a_snapshot_changes_nothing():
    model = with_adapter("loha", r=2).train()
    before = {name: p.clone() for name, p in model.named_parameters()}
    state = torch.get_rng_state()
    assert snapshot(model)["left_out"] == 4
    taken = snapshot(model, sketch=True)
    assert taken["left_out"] == 0
    assert len(taken["layers"]) == 4
    assert model.training
    assert all(m.training for m in model.modules() if isinstance(m, BaseTunerLayer))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())


def test_a_snapshot_follows_the_bonds_of_tensor_networks():
    model = with_adapter("qtha", **PUBLISHED)
    taken = snapshot(model)["layers"]
    for name, layer in adapted_layers(model).items():
        operators = layer.changes["default"].operators(layer.adapter_tensors("default"))
        assert taken[name]["bond_entropy_bits"].keys() == operators.keys() == {"M_A", "M_B"}
        for operator, (cores, shape) in operators.items():
            expected = [bond.entropy_bits for bond in bonds_of(cores, shape)]
            assert taken[name]["bond_entropy_bits"][operator] == pytest.approx(expected, abs=1e-5)


def test_a_snapshot_of_a_diverged_run_leaves_out_what_is_not_finite():
    model = with_adapter("lora", r=2)
    with torch.no_grad():
        next(iter(adapted_layers(model).values())).lora_B["default"].weight.fill_(math.nan)
    assert snapshot(model)["left_out"] == 1


def test_a_sketched_snapshot_finds_the_leading_values():
    model = with_adapter("loha", r=2)
    taken = snapshot(model, sketch=True)["layers"]
    for view in view_updates(model):
        theirs = taken[view.layer]["singular_values"][:4]
        np.testing.assert_allclose(theirs, view.spectrum.values[:4], rtol=1e-3)


# non-linearity


def test_the_nonlinear_share_of_a_cube_and_a_square_is_known():
    # x ~ N(0, 1): the best line through x³ is 3x, and 1 - E[3x·x³]/E[x⁶] = 1 - 9/15 = 0.4;
    # x² has no linear part at all, and about its mean 1 it varies by E[x⁴] - 1 = 2 of 3
    torch.manual_seed(0)
    x = torch.randn(20_000, 2, dtype=torch.float64)
    cube = linear_fit(lambda x: x**3, x, ranks=())
    assert cube.share == pytest.approx(0.4, abs=0.02)
    assert cube.in_sample_share <= cube.share + 1e-9
    square = linear_fit(lambda x: x**2, x, ranks=())
    assert square.linear_share == pytest.approx(1, abs=0.01)
    assert square.share == pytest.approx(2 / 3, abs=0.02)
    assert cube.floor < 1e-12


def test_a_constant_is_no_nonlinearity():
    torch.manual_seed(0)
    x = torch.randn(500, 4, dtype=torch.float64)
    fit = linear_fit(lambda x: 2 * x + 7, x, ranks=(4,))
    assert max(fit.share, fit.in_sample_share, fit.by_rank[4], fit.floor) < 1e-12
    assert fit.linear_share > 0.5


def test_the_bounds_of_the_share_close_with_tokens_around_what_is_known():
    torch.manual_seed(0)
    x = torch.randn(4_000, 40, dtype=torch.float64)
    few, many = share_curve(lambda x: x**3, x, counts=[60, 4_000, 9_999])  # the last are not there
    assert few.in_sample_share < 0.4 < few.share  # 1 - 9/15, as above
    assert many.in_sample_share == pytest.approx(0.4, abs=0.02)
    assert many.share == pytest.approx(0.4, abs=0.02)
    assert many.share - many.in_sample_share < (few.share - few.in_sample_share) / 10


def test_the_best_map_of_low_rank_leaves_the_smaller_singular_values():
    torch.manual_seed(0)
    x = torch.randn(5_000, 3, dtype=torch.float64)
    fit = linear_fit(lambda x: x * torch.tensor([2.0, 1.0, 0.0]), x, ranks=(1, 2))
    assert fit.by_rank[1] == pytest.approx(1 / 5, abs=0.02)  # 1² of 2² + 1²
    assert fit.by_rank[2] == pytest.approx(0, abs=1e-12)


def test_too_few_tokens_show_in_the_floor_and_not_as_nonlinearity():
    torch.manual_seed(0)
    x, matrix = torch.randn(40, 100, dtype=torch.float64), torch.randn(100, 100).double()
    fit = linear_fit(lambda x: x @ matrix, x, ranks=())
    assert fit.share > 0.3
    assert fit.floor > 0.9 * fit.share
    with refused("x", "7"):
        linear_fit(lambda x: x, torch.randn(7, 2))


def test_lora_is_linear_and_qtha_is_not():
    for name, options, low, high in (("lora", {"r": 3}, 0, 1e-12), ("qtha", PUBLISHED, 1e-3, 2)):
        model = with_adapter(name, **options)
        update = next(iter(updates_of(model)))
        x = activations(model)[update.name]
        fit = linear_fit(update.delta, x, ranks=(3,))
        assert low <= fit.share <= high
        # Δy lies in 3 dimensions, so rank 3 loses nothing more
        assert fit.by_rank[3] == pytest.approx(fit.share, abs=1e-9)


# subspaces


def test_two_leading_directions_are_all_of_an_update_of_rank_two():
    update = next(iter(updates_of(with_adapter("lora", r=2))))
    left, values, right = leading_svd(update.linear_path(), 2)
    torch.testing.assert_close(left * values @ right, update.linear_path())


def test_intruder_dimensions_are_those_that_peft_reports():
    model = with_adapter("lora", r=3)
    heard = []
    ours = {}
    for update in updates_of(model):
        weight = base_weight(adapted_layers(model)[update.name])
        ours[update.name] = intruder_dimensions(weight, update.linear_path()).indices
    reduce_intruder_dimension(model, top_k=10, threshold_epsilon=0.5, logging_sink=heard.append)
    theirs = {
        line.partition(": ")[0].removeprefix("base_model.model."): line.partition(": ")[2]
        for line in heard
        if "layers" in line
    }
    assert {
        name: f"Intruders: {len(result)}" if result else "No intruders"
        for name, result in ours.items()
    } == theirs
    assert any(ours.values())


def test_a_larger_copy_of_the_base_has_no_intruders():
    torch.manual_seed(0)
    weight = torch.randn(12, 9)
    assert intruder_dimensions(weight, 0.5 * weight).indices == ()


# bonds of the adapter's own networks


# refusals


@pytest.mark.parametrize(
    ("what", "setting", "value"),
    [
        (lambda m: list(updates_of(make("llama"))), "The model", "LlamaForCausalLM without one"),
        (lambda m: list(updates_of(m, "nobody")), "adapter", "'nobody'"),
        (lambda m: snapshot(m, layers=["head"]), "Layers", "'head'"),
        (
            lambda m: view_updates(m, views=["spectra"]),
            "view",
            "'spectra'",
        ),
        (lambda m: capture_inputs(m, {"input_ids": TOKENS}, max_tokens=0), "x", "12 of at most 0"),
        (lambda m: jacobians_of(lambda x: x, torch.eye(2), max_rank=0), "max_rank", "0"),
        (
            lambda m: intruder_dimensions(torch.eye(2), torch.eye(2), threshold=0),
            "threshold",
            "0",
        ),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_a_sentence(what, setting, value):
    with refused(setting, value):
        what(with_adapter("lora", r=2))


def test_a_merged_adapter_is_refused():
    model = with_adapter("lora", r=2)
    model.merge_adapter()
    with refused("adapter", "'default'"):
        list(updates_of(model))
