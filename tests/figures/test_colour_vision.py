"""Colours as others see them: greys are kept, and the confused pairs come close."""

import pytest
from support.refusals import refused

from qtha_lab.figures.machinery.theme import SIGHTS, all_seen, seen


def distance(one, other):
    return sum(abs(int(one[k : k + 2], 16) - int(other[k : k + 2], 16)) for k in (1, 3, 5))


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("grey", ["#000000", "#7f7f7f", "#ffffff"])
def test_a_grey_stays_as_it_is(sight, grey):
    assert distance(seen(grey, sight), grey) <= 3


def test_grey_has_the_luminance_of_rec_709():
    # linear 0.2126, and 1.055 · 0.2126^(1/2.4) − 0.055 = 0.498
    assert seen("#ff0000", "greyscale") == "#7f7f7f"


@pytest.mark.parametrize("sight", ["without red cones", "without green cones"])
def test_red_and_green_come_closer_without_one_of_their_cones(sight):
    pair = "#cc4433", "#669933"
    assert distance(*(seen(color, sight) for color in pair)) < distance(*pair) / 1.5


def test_colours_inside_a_drawing_are_replaced_and_other_texts_are_not():
    drawing = {
        "line": {"color": "#ff0000"},
        "fill": ["rgba(255, 0, 0, 0.2)"],
        "name": "lora",
        "n": 1,
    }
    assert all_seen(drawing, "greyscale") == {
        "line": {"color": "#7f7f7f"},
        "fill": ["rgba(127, 127, 127, 0.2)"],
        "name": "lora",
        "n": 1,
    }
    assert all_seen(drawing, "in colour") == drawing


def test_an_unknown_sight_is_refused():
    with refused("sight", "'blind'"):
        seen("#ffffff", "blind")
