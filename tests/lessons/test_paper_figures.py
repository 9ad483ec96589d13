"""The five figures of a recorded comparison hold its numbers, and no others."""

import numpy as np
import pytest
from support.refusals import refused

from qtha_lab.lessons import recorded
from qtha_lab.lessons.paper_figures import KINDS, caption_needs, methods_of, paper_figure

QTHA = "qtha(r=4,waist=16,bond_dim=3)"


def test_the_differences_are_those_of_the_recorded_rows():
    runs = recorded("confirm-qa")
    others = [method for method in methods_of(runs) if method != QTHA]
    right = [runs.difference(method, QTHA, claims=len(others)) for method in others]
    rows = paper_figure("differences", "confirm-qa", "full").table.rows
    assert [row[0] for row in rows] == others
    assert np.allclose([row[1:4] for row in rows], [(d.mean, d.low, d.high) for d in right])


def test_each_seed_of_a_method_is_one_row_of_the_seeds():
    runs = recorded("smollm2-qa")
    rows = paper_figure("seeds", "smollm2-qa").table.rows
    assert len(rows) == len(methods_of(runs)) * len(runs.seeds)


@pytest.mark.parametrize("kind", KINDS)
def test_variants_of_initialisation_and_ansatz_are_left_out_of_every_figure(kind):
    figure = paper_figure(kind, "tiny-qa", "full")
    text = f"{figure.alt} {figure.table.rows}"
    assert QTHA in text
    assert "ansatz=" not in text
    assert "init=" not in text


def test_a_caption_must_state_the_seeds_the_rows_and_the_rates():
    text = " ".join(caption_needs("confirm-qa"))
    assert "20 seeds, 112 test rows" in text
    assert "2 learning rates" in text


def test_an_unknown_figure_is_refused_with_the_known_ones():
    with refused("figure", "'forests'"):
        paper_figure("forests")
