"""Methods by one word: every one of them, and a method beside its classical controls."""

import re
from pathlib import Path

import pytest
from support.refusals import refused

from qtha_lab import adapters, models
from qtha_lab.adapters import QthaConfig, get_method, method_names, registry
from qtha_lab.adapters.registry import controlled_methods, controls_of
from qtha_lab.cli import main
from qtha_lab.experiment import Comparison, MethodChoice


@pytest.mark.parametrize("name", controlled_methods())
def test_every_control_is_a_method_with_settings_it_has(name):
    assert name in method_names()
    for control in controls_of(name, {}):
        get_method(control.method).check(control.options)
        assert len(control.shows) > 20


def test_controls_of_a_circuit_keep_sizes_and_drop_what_only_the_circuit_reads():
    options = {"r": 4, "waist": 16, "readout": "probs", "engine": "torch"}
    by_title = {control.title: control.options for control in controls_of("qtha", options)}
    assert by_title["no circuit"] == {"r": 4, "waist": 16, "use_circuit": False}
    assert by_title["cosines"] == {"r": 4, "waist": 16, "stand_in": "cosine"}
    assert by_title["no entanglement"] == {**options, "ansatz": "product"}
    assert "no circuit" not in {
        c.title for c in controls_of("qtha", by_title["no circuit"])
    }  # not a control of itself


def test_a_method_with_its_controls_has_lora_at_equal_r_and_at_equal_size():
    compared = Comparison(methods="vera, qtha(r=4,waist=16,bond_dim=3)+controls").methods
    labels = [choice.label for choice in compared]
    assert labels[:2] == ["vera", "qtha(r=4,waist=16,bond_dim=3)"]
    assert labels[-2:] == ["lora(r=4,lora_alpha=8)", "lora(r=2,lora_alpha=4)"]
    empty = models.empty_model("tiny", head="causal-lm")
    targets = models.default_target_modules("tiny")
    sizes = [
        adapters.count_trainable(
            empty, get_method(c.name).make_config("CAUSAL_LM", targets, **c.options)
        )
        for c in (compared[1], *(MethodChoice.parse(f"lora(r={r})") for r in (1, 2, 3)))
    ]
    distances = [abs(size - sizes[0]) for size in sizes[1:]]
    assert distances[1] == min(distances)


def test_all_is_every_method_and_every_control_once():
    compared = Comparison(methods="all").methods
    assert {choice.name for choice in compared} == set(method_names())
    listed = [MethodChoice(name=c.method, options=dict(c.options)) for c in controls_of("qtha", {})]
    assert all(control in compared for control in listed)
    loras = [choice.options for choice in compared if choice.name == "lora"]
    # QTHA has r = 4 on tiny, and 6,312 parameters are nearest to LoRA's 7,680 at r = 2
    assert {"r": 4, "lora_alpha": 8} in loras
    assert {"r": 2, "lora_alpha": 4} in loras
    assert loras.count({}) == 1  # LoRA itself, at r = 8


# the table of all methods


def test_the_readme_names_every_method():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    lines = re.findall(r"^- \*\*(?:Own|PEFT's)\*\*: ([^;]*);", readme, re.M)
    named = [name for line in lines for name in re.findall(r"`([a-z0-9_]+)`", line)]
    assert sorted(named) == sorted(method_names())


def test_the_table_counts_what_the_formulas_say():
    heading, *rows = registry.methods_table(4096, 512)
    assert heading[2] == "parameters, 4096 → 512"
    counts = {row[0]: int(row[2].replace(",", "")) for row in rows}
    assert counts["lora"] == 8 * (4096 + 512)
    assert counts["qtha"] == QthaConfig().n_parameters(4096, 512)
    assert len(counts) == len(method_names())
    for row in rows:
        method = get_method(row[0])
        assert row[1] == method.equation != ""
        assert row[4].endswith("peft's own") is not method.ours


def test_sizes_of_the_table_are_refused_in_a_sentence(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["qtha-lab", "methods", "--sizes", "4096"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert (
        "sizes must have the form IN,OUT, two whole numbers of 1 to 999,999, got '4096'"
        in capsys.readouterr().err
    )


PLUGIN = """
import dataclasses
from qtha_lab.plugins import AdapterConfig, Change, Control, MethodStyle, TensorSpec, method, setting

@dataclasses.dataclass
class ShiftConfig(AdapterConfig):
    trained: bool = setting(True, "Train it.")

@method(
    "family_shift", ShiftConfig, summary="A bias.", equation="Δy = b", source="a test",
    default_learning_rate=1e-3, style=MethodStyle("sky", "dash", "{symbol}"), compare_with_lora=True,
    controls=[Control("frozen", "what training adds", {{"trained": False}})],
)
class Shift(Change):
    def n_parameters(self): return self.layer.out_features
    def tensors(self): return {{"b": TensorSpec((self.layer.out_features,), self.config.trained)}}
    def initialise(self, tensors): tensors["b"].zero_()
    def delta(self, tensors, x): return tensors["b"].expand(*x.shape[:-1], -1)
"""


def test_a_method_of_a_plugin_brings_its_controls_and_its_look(tmp_path):
    from qtha_lab.adapters import OUR_METHODS
    from qtha_lab.core.method_styles import METHOD_STYLES
    from qtha_lab.core.plugin_loading import load_plugins, module_name
    from qtha_lab.figures.machinery.theme import SKY, method_style

    file = tmp_path / "family_shift.py"
    file.write_text(PLUGIN.format(symbol="cross"))
    load_plugins([str(file)])
    try:
        assert method_style("family_shift") == {"color": SKY, "dash": "dash", "symbol": "cross"}
        compared = Comparison(methods="family_shift+controls").methods
        assert [choice.label for choice in compared][:2] == [
            "family_shift",
            "family_shift(trained=false)",
        ]
        assert {choice.name for choice in compared[2:]} == {"lora"}
    finally:
        for registry in (OUR_METHODS, METHOD_STYLES):
            registry.forget(module_name(str(file)))


def test_a_look_that_no_figure_can_draw_is_refused(tmp_path):
    from qtha_lab.core.plugin_loading import load_plugins

    file = tmp_path / "family_heart.py"
    file.write_text(PLUGIN.format(symbol="heart").replace("family_shift", "family_heart"))
    with refused("The symbol of method 'family_heart'", "'heart'"):
        load_plugins([str(file)])
