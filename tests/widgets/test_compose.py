"""The how-to "Compose your own page" without a page; test_browser_compose.py runs it on one."""

import re
from pathlib import Path

import pytest

from widgets.explorers.chip import ChipModel

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "compose.md"


def block(number):
    """Return the code of a block of the guide."""
    return re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)[number]


@pytest.fixture
def page():
    code = block(0)
    assert len([line for line in code.splitlines() if line]) <= 15
    names: dict = {}
    exec(code, names)
    return names


def test_a_control_sets_the_state_and_the_state_sets_the_control(page):
    page["layers"].value = 2
    assert page["chip"].n_layers == 2
    page["chip"].n_layers = 3
    assert page["layers"].value == 3
    assert ChipModel.from_state(page["chip"].state).code == page["chip"].code


def test_the_form_of_the_workbench_is_set_and_observed_from_python():
    names: dict = {}
    exec(block(1), names)
    assert names["described"].training.steps == 20
    assert {method.learning_rate for method in names["described"].methods} == {0.001}
    assert [change["new"] for change in names["seen"]] == ["1e-3"]
    assert not names["bench"].launch.disabled
    names["bench"].close()
