"""Methods by one word: every one of them, and a method beside its classical controls."""

import re
from pathlib import Path

import pytest

from qtha_lab import adapters, models
from qtha_lab.adapters import QthaConfig, get_method, listing, method_names
from qtha_lab.adapters.controls import CONTROLS, controls_of
from qtha_lab.cli import main
from qtha_lab.experiment import Comparison, MethodChoice


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_is_a_method_with_settings_it_has(name):
    assert name in method_names()
    for control in controls_of(name, {}):
        get_method(control.method).check(control.options)
        assert len(control.shows) > 20


def test_controls_of_a_circuit_keep_sizes_and_drop_what_only_the_circuit_reads():
    given = {"r": 4, "waist": 16, "readout": "probs", "engine": "torch"}
    by_title = {control.title: control.options for control in controls_of("qtha", given)}
    assert by_title["no circuit"] == {"r": 4, "waist": 16, "use_circuit": False}
    assert by_title["cosines"] == {"r": 4, "waist": 16, "stand_in": "cosine"}
    assert by_title["no entanglement"] == {**given, "ansatz": "product"}
    assert "no circuit" not in {
        c.title for c in controls_of("qtha", by_title["no circuit"])
    }  # not a control of itself


def test_a_method_with_its_controls_has_lora_at_equal_r_and_at_equal_size():
    compared = Comparison(methods="vera, qtha(r=4,waist=16,bond_dim=3)+controls").methods
    labels = [choice.label for choice in compared]
    assert labels[:2] == ["vera", "qtha(r=4,waist=16,bond_dim=3)"]
    assert labels[-2:] == ["lora(r=4)", "lora(r=2)"]
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
    assert {"r": 8} in loras
    assert {} not in loras  # r = 8 is the default: said once


# the table of all methods


def test_the_readme_names_every_method():
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    (line,) = re.findall(r"^Ours: .*?\n\n", readme, re.M | re.S)
    named = re.findall(r"`([a-z0-9_]+)`", line.partition("`--methods")[0])
    assert sorted(named) == sorted(method_names())


def test_the_table_counts_what_the_formulas_say():
    heading, *rows = listing.methods_table(4096, 512)
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
        "sizes must read IN,OUT, two whole numbers of 1 to 999,999, not '4096'"
        in capsys.readouterr().err
    )
