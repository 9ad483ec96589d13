"""The explorers of lessons 1 and 2 without a browser.

Controls move figures, and the line of Python draws the same.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.analysis import snapshot, truncation_curve
from qtha_lab.analysis.networks.factorisation import Decomposed
from qtha_lab.tensor_networks import mpo
from widgets import MpoExplorer
from widgets.explorers.mpo_explorer import MpoModel
from widgets.explorers.update_explorer import UpdateModel

LAYERS = [f"model.layers.{n}.self_attn.{p}_proj" for n in (0, 1) for p in "qv"]


def events(r, steps=(0, 5, 10)):
    """A record whose values grow with the step.

    At step s of layer k, (k + 1) · s, down to that over r.
    """
    return [
        {
            "kind": "spectrum",
            "step": s,
            "layers": {
                name: [(k + 1) * s / i for i in range(1, r + 1)] for k, name in enumerate(LAYERS)
            },
        }
        for s in steps
    ]


@pytest.fixture
def spectra():
    return UpdateModel({"lora(r=2)": events(2), "lora(r=8)": events(8, (0, 10, 20))})


def drawn(explorer):
    """The values drawn, by curve."""
    values = {}
    for label, _, value in explorer.figures["decay"].table.rows:
        values.setdefault(label, []).append(value)
    return values


def test_the_step_moves_every_curve(spectra):
    assert spectra.step == 20  # the end of the longest
    assert drawn(spectra)["lora(r=2)"] == [10, 5]  # its last record before
    spectra.step = 5
    assert drawn(spectra)["lora(r=2)"] == [5, 2.5]
    assert drawn(spectra)["lora(r=8)"] == [0] * 8  # its last record before step 5 is all zeros


def test_the_layer_moves_both_pictures(spectra):
    spectra.layer = LAYERS[3]
    assert drawn(spectra)["lora(r=2)"] == [40, 20]
    assert LAYERS[3] in spectra.figures["history"].alt


def test_the_history_is_that_of_all_or_the_heat_map_of_a_run(spectra):
    runs = {label for label, *_ in spectra.figures["history"].table.rows}
    assert runs == {"lora(r=2)", "lora(r=8)"}
    spectra.layer = LAYERS[1]
    spectra.history = "lora(r=8)"
    assert spectra.offers("step") == [0, 5, 10, 20]
    assert spectra.layer == LAYERS[1]
    steps = {step for step, _, _ in spectra.figures["history"].table.rows}
    assert steps == {0, 10, 20}


def test_leading_values_only_are_drawn_and_ranks_are_of_all():
    explorer = UpdateModel({"full": events(40)})
    assert len(drawn(explorer)["full"]) == 16
    assert "step 10, 16 leading" in explorer.figures["decay"].alt
    assert explorer.drawing.rows[0] | {"run": "full", "rank": "40"} == explorer.drawing.rows[0]
    explorer.leading = None
    assert len(drawn(explorer)["full"]) == 40


def test_ranks_are_those_of_the_values(spectra):
    two, eight = spectra.drawing.rows
    assert (eight["run"], eight["rank"]) == ("lora(r=8)", "8")
    assert two["stable"] == "1.25"  # of (1, 1/2): 1 + 1/4


def test_the_line_of_python_draws_what_is_shown(spectra):
    spectra.step = 5
    *lines, last = spectra.code.splitlines()
    names = {}
    exec("\n".join(lines), names)
    again = eval(last, names)
    assert again.table.rows == spectra.figures["decay"].table.rows
    assert again.alt == spectra.figures["decay"].alt


def test_a_live_model_is_a_source(tiny_lora):
    explorer = UpdateModel({"lora": tiny_lora})
    layer = explorer.layer
    assert (
        explorer.at(layer, explorer.step)["lora"]
        == snapshot(tiny_lora)["layers"][layer]["singular_values"]
    )


def test_sources_without_records_are_refused():
    with refused("No source", rule="spectra"):
        UpdateModel({"lora": [{"kind": "train", "step": 1, "loss": 2.0}]})


@pytest.fixture(scope="module")
def tiny_lora():
    from peft import LoraConfig

    from qtha_lab import load_model
    from qtha_lab.adapters import add_adapter

    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    return add_adapter(load_model("tiny").model, config)


# ---- a matrix decomposed once ----


def rebuilt(chain, widths):
    """The cut operator made dense, its digits in the order of the index again."""
    from qtha_lab.analysis import truncate

    cores, shape, _ = truncate(chain.cores, chain.shape, widths)
    n, back = shape.n_sites, [chain.order.index(k) for k in range(shape.n_sites)]
    legs = mpo.dense(cores, shape).reshape(*shape.out_dims, *shape.in_dims)
    return legs.permute(*back, *(n + k for k in back)).reshape(shape.out_features, -1)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 99),
    st.sampled_from([(0, 1), (0, 1, 2), (0, 2, 1), (1, 0, 2)]),
    st.lists(st.integers(1, 6), min_size=2, max_size=2),
)
def test_the_error_told_is_that_of_the_matrix_rebuilt(seed, order, widths):
    matrix = torch.randn(12, 8, generator=torch.Generator().manual_seed(seed)).double()
    chain = Decomposed.of(matrix, len(order), order)
    widths = widths[: len(order) - 1]
    error = float((matrix - rebuilt(chain, widths)).norm() / matrix.norm())
    assert chain.cut(widths).relative_error == pytest.approx(error, abs=1e-9)


def test_a_cut_across_two_cores_is_the_best_there_is():
    matrix = torch.randn(12, 12, generator=torch.Generator().manual_seed(1)).double()
    regrouped = matrix.reshape(4, 3, 4, 3).permute(0, 2, 1, 3).reshape(16, 9)
    values = torch.linalg.svdvals(regrouped)  # Eckart and Young
    best = float(values[3:].norm() / values.norm())
    assert Decomposed.of(matrix, 2).cut([3]).relative_error == pytest.approx(best)


def test_bonds_beyond_the_widest_are_counted_as_lost():
    matrix = torch.randn(12, 12, generator=torch.Generator().manual_seed(2)).double()
    narrow, chain = Decomposed.of(matrix, 2, widest=4), Decomposed.of(matrix, 2)
    assert narrow.shape.bonds == (1, 4, 1)
    assert narrow.cut([4]).relative_error == pytest.approx(chain.cut([4]).relative_error)
    assert narrow.cut([2]).relative_error == pytest.approx(chain.cut([2]).relative_error)


def test_a_curve_falls_to_nothing_and_its_first_cut_is_that_of_the_analysis():
    matrix = torch.randn(24, 24, generator=torch.Generator().manual_seed(3)).double()
    chain = Decomposed.of(matrix, 3)
    curve = chain.curve([1, 2, 4, max(chain.widths)])
    errors = [point.relative_error for point in curve]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(0, abs=1e-7)
    (other,) = truncation_curve(matrix, chain.shape.out_dims, chain.shape.in_dims, [4])
    assert curve[2].relative_error == pytest.approx(other.relative_error, rel=1e-6)
    assert curve[2].n_parameters == other.n_parameters


def test_an_order_must_hold_every_digit():
    with refused("order", "(0, 1, 1)"):
        Decomposed.of(torch.eye(8), 3, (0, 1, 1))


# ---- and its explorer ----


@pytest.fixture
def bonds():
    random = torch.Generator().manual_seed(0)
    weights = {
        "q": torch.randn(36, 36, generator=random),
        "v": torch.randn(12, 36, generator=random),
    }
    return MpoExplorer(weights)


def test_dragging_a_bond_moves_the_chain_the_point_and_the_numbers(bonds):
    assert bonds.point.relative_error == pytest.approx(0, abs=1e-6)
    slider = bonds.sliders.children[0]
    slider.value = 8  # 36 = 6 · 6: a core has 6 · 6 · 8 entries
    assert bonds.bonds == [8]
    assert bonds.point.n_parameters == 2 * 6 * 6 * 8
    assert bonds.figures["chain"].table.rows[0][1] == 8
    label, parameters, error = bonds.figures["errors"].table.rows[-1]
    assert (label, parameters) == ("chosen bonds", 576)
    assert 0 < error == bonds.point.relative_error < 1
    assert '<th scope="row">576</th>' in bonds.table.value


def test_other_cores_and_orders_bring_their_own_bonds(bonds):
    bonds.n_sites = 4
    assert len(bonds.bonds) == len(bonds.sliders.children) == 3
    assert len(bonds.controls["order"].options) == math.factorial(4) / 2  # mirror images left out
    bonds.order = (0, 2, 1, 3)
    assert bonds.point.order == (0, 2, 1, 3)
    bonds.weight = "v"
    assert bonds.point.dense_parameters == 12 * 36


def test_the_line_of_python_computes_what_is_shown(bonds):
    bonds.n_sites = 3
    bonds.bonds = [*bonds.bonds[:1], 4]
    *lines, last = bonds.code.splitlines()
    names = {"weights": bonds.weights}
    exec("\n".join(lines), names)
    again = eval(last, names)
    assert again == bonds.point


def test_bonds_that_the_chain_does_not_hold_are_refused_and_put_back(bonds):
    for wrong, sentence in (
        ([0], "Bond 1 must be from 1 to 36, got 0"),
        ([2, 2], "must hold 1 widths"),
    ):
        with pytest.raises(ValueError, match=sentence):
            bonds.bonds = wrong
        assert bonds.bonds == [36]


def test_an_explorer_without_weights_is_refused():
    with refused("The explorer", rule="no weight"):
        MpoModel({})


def test_dragging_decomposes_nothing_again(bonds):
    bonds.n_sites = 3
    misses = bonds.decomposed.cache_info().misses
    for width in (1, 2, 4):
        bonds.bonds = [width, 2]
    bonds.n_sites = 2
    bonds.n_sites = 3
    assert bonds.decomposed.cache_info().misses == misses
