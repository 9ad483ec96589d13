"""Addresses of modules: every old one, and both of the panels, give the module that is used today."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest
from support.preloaded import PYTHON

from qtha_lab.moved import MOVED

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=MOVED)
def test_an_old_address_is_the_same_module(old, new):
    module = importlib.import_module(new)
    assert importlib.import_module(old) is module
    assert module.__name__ == new
    assert module.__spec__ is not None
    assert module.__spec__.name == new


@pytest.mark.parametrize("old", MOVED)
def test_nothing_lies_at_an_old_address(old):
    place = ROOT / old.replace(".", "/")
    assert not place.with_suffix(".py").exists()
    assert not (place / "__init__.py").exists()


def test_nothing_inside_uses_an_address_from_before():
    for file in (*ROOT.glob("qtha_lab/**/*.py"), *ROOT.glob("widgets/*.py")):
        old = [module for module in MOVED if re.search(rf"{re.escape(module)}\b", file.read_text())]
        assert not old or file.name == "moved.py", f"{file} names {old}"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["widgets", "qtha_lab.widgets"])
def test_the_panels_have_two_addresses_in_a_checkout_and_are_loaded_once(first):
    code = f"""
import {first}
import qtha_lab.widgets.form, widgets.form
from qtha_lab.widgets import Workbench
from widgets import Workbench as same
assert Workbench is same and qtha_lab.widgets.form is widgets.form and qtha_lab.widgets is widgets
"""
    subprocess.run([*PYTHON, "-c", code], check=True, cwd=ROOT)
