"""The explorers of lessons 1 and 2 without a browser: controls move figures, and the told line draws the same."""

import pytest

from qtha_lab.analysis import snapshot
from qtha_lab.figures.spectra import singular_values
from widgets import SpectrumExplorer

LAYERS = [f"model.layers.{n}.self_attn.{p}_proj" for n in (0, 1) for p in "qv"]


def events(r, steps=(0, 5, 10)):
    """A record whose values grow with the step: at step s of layer k, (k + 1) · s, down to that over r."""
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
    return SpectrumExplorer({"lora(r=2)": events(2), "lora(r=8)": events(8, (0, 10, 20))})


def drawn(explorer):
    """The values drawn, by curve."""
    found = {}
    for label, _, value in explorer.decay.figure.table.rows:
        found.setdefault(label, []).append(value)
    return found


def test_the_step_moves_every_curve(spectra):
    assert spectra.step.value == 10  # the end of the first run
    assert drawn(spectra)["lora(r=2)"] == [10, 5]
    spectra.step.value = 5
    assert drawn(spectra)["lora(r=2)"] == [5, 2.5]
    assert drawn(spectra)["lora(r=8)"] == [0] * 8  # its last record before step 5 is all zeros


def test_the_layer_moves_both_pictures(spectra):
    spectra.layer.value = LAYERS[3]
    assert drawn(spectra)["lora(r=2)"] == [40, 20]
    assert LAYERS[3] in spectra.history.figure.alt


def test_the_run_brings_its_own_steps_and_keeps_the_layer(spectra):
    spectra.layer.value = LAYERS[1]
    spectra.run.value = "lora(r=8)"
    assert spectra.step.options == (0, 10, 20)
    assert spectra.layer.value == LAYERS[1]
    steps = {step for step, _, _ in spectra.history.figure.table.rows}
    assert steps == {0, 10, 20}


def test_ranks_are_those_of_the_values(spectra):
    assert "<td>lora(r=8)</td><td>8</td>" in spectra.ranks.value
    assert "<td>1.25</td>" in spectra.ranks.value  # stable rank of (1, 1/2): 1 + 1/4


def test_the_told_line_draws_what_is_shown(spectra):
    spectra.step.value = 5
    again = eval(spectra.code, {"singular_values": singular_values})
    assert again.table.rows == spectra.decay.figure.table.rows
    assert again.alt == spectra.decay.figure.alt


def test_a_live_model_is_a_source(tiny_lora):
    explorer = SpectrumExplorer({"lora": tiny_lora})
    layer = explorer.layer.value
    assert explorer.shown["lora"] == snapshot(tiny_lora)["layers"][layer]["singular_values"]


def test_sources_without_records_are_refused():
    with pytest.raises(ValueError, match="none of 1 sources holds spectra: set spectrum_every"):
        SpectrumExplorer({"lora": [{"kind": "train", "step": 1, "loss": 2.0}]})


@pytest.fixture(scope="module")
def tiny_lora():
    from peft import LoraConfig

    from qtha_lab import load_model
    from qtha_lab.adapters import add_adapter

    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    return add_adapter(load_model("tiny").model, config)
