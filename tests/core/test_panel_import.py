"""Panels have two names in a checkout and are loaded once."""

import subprocess
from pathlib import Path

import pytest
from support.preloaded import PYTHON

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["widgets", "qtha_lab.widgets"])
def test_panels_have_two_names_in_a_checkout_and_are_loaded_once(first):
    code = f"""
import {first}
import qtha_lab.widgets.workbench.form, widgets.workbench.form
from qtha_lab.widgets import Workbench
from widgets import Workbench as same
assert Workbench is same and qtha_lab.widgets.workbench.form is widgets.workbench.form
assert qtha_lab.widgets is widgets
"""
    subprocess.run([*PYTHON, "-c", code], check=True, cwd=ROOT)
