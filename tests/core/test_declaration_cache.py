"""Declarations of methods are cached.

A panel is drawn before torch is imported, and a change of code is seen.
"""

import json
import os
import subprocess
import sys

import pytest
from support.refusals import refused
from support.run_folders import run_folder, status, train, write

from qtha_lab.adapters import get_method, method_names
from qtha_lab.core import method_styles, paths
from qtha_lab.core.declaration_cache import cached_declarations
from qtha_lab.experiment import method_list
from qtha_lab.simulators import engine_names

HEAVY = ("torch", "transformers", "peft", "pennylane", "optuna", "scipy")
DRAWN = f"""
import sys
from widgets import Workbench

bench = Workbench()
print([module for module in {HEAVY} if module in sys.modules])
print([card.choice().label for card in bench.setup.methods.cards], len(bench.watch.runs))
"""


def drawn(env) -> list[str]:
    command = [sys.executable, "-c", DRAWN]
    return subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_a_panel_with_runs_is_drawn_before_torch_is_imported(tmp_path):
    for method in ("lora(r=2)", "qtha(r=4,bond_dim=3)"):
        run = run_folder(tmp_path / "runs", method, name="before", steps=9)
        write(run, status("running", 0), train(1, 5.0), status("stopped", 1))
    env = {"QTHA_LAB_CACHE": str(tmp_path / "cache")}
    drawn(env)  # the first of all reads the methods themselves
    assert drawn(env) == ["[]", "['lora(r=2)', 'qtha(r=4,bond_dim=3)'] 2"]


def test_what_is_remembered_is_what_the_methods_declare():
    facts = json.loads(json.dumps(method_list._facts()))
    entries = {each["name"]: method_list._from(each) for each in facts}
    assert list(entries) == [*method_names(), "none"]
    for name, entry in entries.items():
        live = get_method(name)
        assert (entry.summary, entry.default_learning_rate) == (
            live.summary,
            live.default_learning_rate,
        )
        assert list(entry.settings) == list(live.settings())
        for setting, declared in live.settings().items():
            kept = entry.settings[setting]
            assert list(kept.choices) == list(declared.choices)
            for part in ("default", "help", "unit", "ge", "gt", "le", "optional", "common"):
                assert getattr(kept, part) == getattr(declared, part), (name, setting, part)
            assert kept.type in (declared.type, object)


def test_live_methods_engines_and_looks_are_asked_once_they_are_loaded():
    assert list(method_list.method_entries()) == [*method_names(), "none"]
    assert method_list.engine_names() == engine_names()
    assert method_styles.method_style_of("qtha") == method_styles.METHOD_STYLES["qtha"]
    with refused("method", "'qhta'", remedy="'qtha'"):
        method_list.method_entry("qhta")


def test_a_value_is_made_once_for_the_same_code_and_anew_where_its_file_is_broken(
    tmp_path, monkeypatch
):
    calls = []

    def make():
        calls.append(1)
        return {"r": 8}

    def again():
        return make()

    for number, maker in enumerate((make, again)):
        monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "cache"))
        assert cached_declarations("numbers", ("ansatze",), maker) == {"r": 8}
        assert len(calls) == 1, number
    file = paths.cache_dir() / "numbers.json"
    file.write_text("{")
    assert cached_declarations("numbers", ("ansatze",), lambda: make()) == {"r": 8}
    assert len(calls) == 2
    known = json.loads(file.read_text())
    file.write_text(json.dumps(known | {"stamp": "older"}))
    assert cached_declarations("numbers", ("ansatze",), lambda: {"r": 9}) == {"r": 9}


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b'{"value": 3}', b"\xff\xfe"])
def test_a_damaged_file_is_replaced(tmp_path, monkeypatch, content):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    (tmp_path / "numbers.json").write_bytes(content)
    assert cached_declarations("numbers", [""], lambda: [1]) == [1]
    assert cached_declarations("numbers", [""], lambda: [2]) == [1]


def test_a_folder_that_cannot_be_written_to_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "file" / "inside"))
    (tmp_path / "file").write_text("")
    assert cached_declarations("numbers", [""], lambda: [1]) == [1]
    assert cached_declarations("numbers", [""], lambda: [2]) == [2]


LISTED = """
import atexit, json, sys
from qtha_lab.cli import main
atexit.register(lambda: print(json.dumps("torch" in sys.modules), file=sys.stderr))
sys.argv = ["qtha-lab", "methods", "--json", "--sizes", "64,32"]
main()
"""


def listed(cache):
    """Return the output of the command, and report if it imported torch."""
    environment = os.environ | {"QTHA_LAB_CACHE": str(cache)}
    process = subprocess.run(
        [sys.executable, "-c", LISTED], capture_output=True, text=True, env=environment
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout), json.loads(process.stderr.splitlines()[-1])


@pytest.mark.slow
def test_the_methods_are_counted_once_and_listed_without_a_library(tmp_path):
    first, second = listed(tmp_path), listed(tmp_path)
    assert first[0] == second[0]
    assert (first[1], second[1]) == (True, False)
    lora = next(row for row in first[0]["methods"] if row["method"] == "lora")
    assert lora["parameters, 64 → 32"] == f"{8 * (64 + 32)}"
