"""Statements of the lessons that need no training, evaluated for several seeds on the toy model."""

import ast

import pytest
from support.notebooks import FOLDER, code_cells, is_python, read

from qtha_lab import load_model

seeds = pytest.mark.parametrize("seed", [0, 1, 2])


def imports_of(cells):
    """All import statements of code cells but those of panels."""
    nodes = [
        node for cell in cells if is_python(cell.source) for node in ast.parse(cell.source).body
    ]
    found = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in found if "widgets" not in ast.unparse(node))


def statements(lesson, first_and_last, **names):
    """Run cells of a lesson; return the sentences of its what_to_see calls with their truth.

    Args:
        lesson: Name of the notebook.
        first_and_last: Pairs of cell ids; cells of panels between them are left out.
        names: Values that replace the parameters of the page, or results of cells left out.
    """
    cells = code_cells(read(FOLDER / f"{lesson}.ipynb"))
    ids = [cell.id for cell in cells]
    claims = []
    (parameters,) = (c.source for c in cells if "parameters" in c.metadata.get("tags", []))
    page: dict = {}
    for source in (imports_of(cells), parameters):
        exec(source, page)
    page |= {
        "model": "tiny",
        "reveal": lambda *answer: None,
        "predict": lambda number: None,
        "what_to_see": lambda *said, **_: claims.extend(said),
        **names,
    }
    for first, last in first_and_last:
        for cell in cells[ids.index(first) : ids.index(last) + 1]:
            if "widgets" not in cell.source:
                exec(cell.source, page)
    return claims


def wrong(claims):
    assert claims
    return [sentence for sentence, holds in claims if not holds]


@seeds
def test_intruders_depend_on_size_and_rank_as_lesson_1_states(seed):
    net = load_model("tiny").model
    names = [f"model.layers.{k}.self_attn.{p}_proj" for k in (0, 3, 5) for p in "qv"]
    weight = {name: net.get_parameter(f"{name}.weight").detach().double() for name in names}
    cells = [("cell-33", "cell-33"), ("cell-35b", "cell-35d"), ("cell-35g", "cell-35g")]
    claims = statements("01_lora_and_rank", cells, seed=seed, weight=weight, changes={})
    assert len(claims) == 4
    assert wrong(claims) == []


@seeds
def test_low_rank_is_no_small_bond_as_lesson_2_states(seed):
    cells = [("cell-05", "cell-05"), ("cell-09", "cell-09"), ("cell-15", "cell-17c")]
    claims = statements("02_mpo_and_bond_dimension", cells, seed=seed)
    assert len(claims) == 5
    assert wrong(claims) == []


@seeds
def test_statements_on_circuits_hold_as_lesson_3_makes_them(seed):
    cells = [("cell-05", "cell-07"), ("measure", "measure-see"), ("cell-10", "cell-16b")]
    claims = statements("03_circuits", [*cells, ("trap-equal", "trap-see")], seed=seed)
    assert len(claims) == 10
    assert wrong(claims) == []


@seeds
def test_statements_on_families_hold_as_lesson_4_makes_them(seed):
    claims = statements("04_families", [("cell-03", "cell-34")], seed=seed)
    assert len(claims) == 8
    assert wrong(claims) == []


@seeds
def test_statements_on_gradients_hold_as_lesson_5_makes_them(seed):
    claims = statements("05_gradients", [("cell-10", "cell-30")], seed=seed)
    assert len(claims) == 8
    assert wrong(claims) == []


@seeds
def test_statements_on_the_formula_hold_as_lesson_6_makes_them(seed):
    cells = [("parts", "package-layer"), ("defect", "starts-see"), ("bound-run", "bound-see")]
    cells += [("trap-code", "trap-see"), ("recorded-power", "recorded-see")]
    claims = statements("06_qtha_by_hand", cells, seed=seed)
    assert len(claims) == 13
    assert wrong(claims) == []


def test_statements_on_recorded_rates_hold_as_lesson_7_makes_them():
    claims = statements("07_race", [("one-rate-table", "edge-see")])
    assert len(claims) == 6
    assert wrong(claims) == []


@seeds
def test_statements_on_intervals_hold_as_lesson_9_makes_them(seed):
    cells = [("measured-run", "paired-see"), ("fooling-machine", "fooling-see")]
    claims = statements("09_is_it_quantum", cells, seed=seed)
    assert len(claims) == 6
    assert wrong(claims) == []


def test_statements_on_relatives_hold_as_lesson_10_makes_them():
    cells = [("angles", "angles"), ("map-table", "map-see"), ("verdicts-table", "verdicts-see")]
    claims = statements("10_relatives", cells)
    assert len(claims) == 5
    assert wrong(claims) == []


@seeds
def test_statements_on_shots_and_noise_hold_as_lesson_11_makes_them(seed):
    cells = [("shots-run", "shots-see"), ("noise-tools", "noise-tools"), ("device-run", "trap-see")]
    cells += [("depth-table", "depth-see"), ("hours-run", "hours-see")]
    claims = statements("11_on_a_chip", cells, seed=seed, noisy_samples=5)
    assert len(claims) == 11
    assert wrong(claims) == []


def test_statements_on_figures_hold_as_lesson_12_makes_them():
    cells = [("five-run", "five-see"), ("build-stub", "build-stub"), ("build-run", "build-run")]
    cells += [("words-see", "words-see"), ("trap-chart", "trap-see"), ("folder-run", "folder-see")]
    claims = statements("12_to_a_paper", cells)
    assert len(claims) == 8
    assert wrong(claims) == []
