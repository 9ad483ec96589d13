"""Methods of a reader's builds: they keep the contract, train, and stand in the forest."""

import pytest
from support.refusals import refused

from qtha_lab import Comparison, Training, launch
from qtha_lab.adapters.peft.registration import OUR_METHODS
from qtha_lab.core.plugin_loading import module_name
from qtha_lab.lessons import own_method
from qtha_lab.lessons.own_code import OWN_METHODS
from qtha_lab.testing import check_plugin


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path))
    yield
    for name in OWN_METHODS:
        OUR_METHODS.forget(module_name(str(tmp_path / f"{name}.py")))


@pytest.mark.parametrize("name", OWN_METHODS)
def test_the_solutions_of_builds_are_a_method_that_keeps_the_contract(name, own):
    facts = check_plugin(str(own_method(name)))
    assert len(facts) > 10
    assert [fact.seen for fact in facts if not fact.holds] == []


def test_the_file_holds_the_readers_own_code_and_all_that_it_calls(own, tmp_path):
    solution = own_method("own_chain").read_text()
    (tmp_path / "lesson_02.py").write_text(
        "LARGEST = 3  # mine\n\n\ndef tt_svd(matrix, out_dims, in_dims, max_bond):\n"
        "    return [LARGEST]\n"
    )
    mine = own_method("own_chain").read_text()
    assert "LARGEST = 3" in mine
    assert "    return [LARGEST]" in mine
    assert "torch.linalg.svd" in solution
    assert "torch.linalg.svd" not in mine
    assert "def apply_chain" in mine, "a build that the reader lacks is the solution"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with refused("name", "mine", rule="own_lora, own_chain, own_qtha"):
        own_method("mine")


@pytest.mark.slow
def test_own_methods_train_and_stand_in_the_forest_with_an_interval(own, tmp_path):
    package = ["qtha(r=2,waist=16,bond_dim=3)", "lora(r=2,lora_alpha=4)"]
    comparison = Comparison(
        methods=[package[0], *OWN_METHODS, package[1]],
        plugins=[str(own_method(name)) for name in OWN_METHODS],
        model="tiny",
        seeds=[0, 1, 2],
        learning_rates=[0.01],
        training=Training(steps=3, eval_rows=8, test_rows=8, generate_rows=0),
    )
    study = launch(comparison, tmp_path / "runs").wait()
    assert study.state == "finished"
    (forest,) = {finding.name: finding for finding in study.findings()}["differences"].figures
    rows = {row[0].partition("(")[0]: row[1:] for row in forest.table.rows}
    assert rows.keys() == {*OWN_METHODS, "lora"}
    apart, low, high, _ = rows["own_qtha"]
    assert low <= apart <= high
    assert abs(apart) < 1e-4, "equal seeds, initial values and formula: the package's own training"
    assert all(row[1] < row[2] for name, row in rows.items() if name != "own_qtha")
    table = study.table()
    assert (table["eval_loss"] < table["eval_loss_start"]).all()
