"""Caches: every one is listed with its key, and two different values never share an entry.

`caches.txt` lists file, name and key. The types of keys compare by every part: equal keys have
equal values. Python's rules remain: 1, 1.0 and True are one key, and so are 0.0 and -0.0.
"""

import ast
import dataclasses
import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.source_files import caches

from qtha_lab.adapters import registry
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.analysis.false_wins import Freedoms
from qtha_lab.circuits import Angle, Circuit, Gate, Readout
from qtha_lab.circuits.ansatze.registry import AnsatzInfo
from qtha_lab.core.paths import CHECKOUT
from qtha_lab.experiment.cost.calibration import _Key
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.simulators.cpu.evaluation import cached_numbers, copied_bytes
from qtha_lab.simulators.cpu.plan import KernelPlan, plan
from qtha_lab.simulators.density.engine import Noise
from qtha_lab.simulators.device.options import Spec
from qtha_lab.simulators.registry import EngineInfo
from qtha_lab.tensor_networks.mpo import MpoShape

LISTED = Path(__file__).with_name("caches.txt")
PLAIN = {  # compared by Python, NumPy or torch
    "int", "str", "bool", "float", "tuple", "Path", "type", "None", "torch.device", "torch.dtype",
    "torch.Size", "complex", "What", "Matrix", "Files", "Callable", "GateKey", "Any", "Declared",
}  # fmt: skip
BY_FIELDS = {Readout, Noise, MpoShape, PageStyle, Freedoms, EngineInfo, AnsatzInfo}
BY_IDENTITY = {KernelPlan, Spec}
BY_THEIR_OWN_TEST = {Circuit, _Key}
KEY_TYPES = PLAIN | {of.__name__ for of in BY_FIELDS | BY_IDENTITY | BY_THEIR_OWN_TEST}
UNTYPED = {"operator_shapes": "whole numbers and tuples of them", "cached_route": "*situation"}
STORES = {  # dictionaries and `Cache` objects, with what their keys hold
    "_BASE": "model class and config, batch, head, threads",
    "_SIZES": "model files, head, method class, all options, budget",
    "_TASKS": "source files, options, seed, numbers of rows",
    "_MODELS": "model files, head, labels, reader",
    "_LENGTHS": "keys of model and task, share, length",
    "_LAYOUTS": "key of model, config class and text, ansatze",
    "_TEACHERS": "two whole numbers that make the teacher",
    "_by_library": "compiled code by identity",
    "_originals": "modules and classes by identity",
    "_WATCHING": "no values: threads by folder",
    "_SERVERS": "no values: servers by folder",
    "_HINTS_SHOWN": "no values: counts by exercise",
    "_unsaved": "no values: the reader's work by kind and number",
    "_waiting": "no values: results on pages by prediction",
    "_shown": "no values: panels by cell",
    "_stored": "class and all options of a layout or style",
    "ALIASES": "a registry: other names of gates",
    "FACTS": "a registry: facts by kind",
    "cached_numbers": "plan by identity, all bytes of the angles, dtype",
    "self.tables": "of one plan: arguments of the tables",
    "self.places": "of one plan: lanes and bytes",
    "self.decomposed": "of one panel: weight and order",
    "self._curve": "of one panel: weight and order",
    "_has_autocast": "device type",
    "_small_signs": "whole numbers and tuples of them",
    "_saved_tables": "program and readout",
}


def listed() -> dict[str, str]:
    lines = LISTED.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_every_cache_is_listed_with_its_key():
    """A new cache, or a new key, is added to `caches.txt` once its key is known to be whole."""
    assert caches(CHECKOUT) == listed()


def test_a_new_cache_is_found_in_the_code(tmp_path):
    code = (
        "import functools\nfrom functools import lru_cache as kept\n"
        "@functools.lru_cache(maxsize=4)\ndef one(text: str): ...\n"
        "two = functools.cache(len)\n_three: dict[str, int] = {}\n"
        "_four = weakref.WeakKeyDictionary()\n_five = dict()\n_six = Cache('kind', most=4)\n"
        "class Of:\n    @functools.cache\n    def seven(self): ...\n"
    )
    (tmp_path / "qtha_lab").mkdir()
    (tmp_path / "qtha_lab" / "new.py").write_text(code)
    names = {name.split(":")[1] for name in caches(tmp_path)}
    assert names == {"one", "two", "_three", "_four", "_five", "_six", "seven"}


def types_of(key: str) -> set[str]:
    """Return the names of the types in a signature; an unannotated parameter is `?`."""
    tree = ast.parse(f"def f{key}: ...").body[0]
    assert isinstance(tree, ast.FunctionDef)
    names = set()
    for argument in ast.walk(tree.args):
        if not isinstance(argument, ast.arg):
            continue
        if argument.annotation is None:
            names.add("?")
            continue
        dotted = [n for n in ast.walk(argument.annotation) if isinstance(n, ast.Attribute)]
        names |= {ast.unparse(node) for node in dotted}
        inside = {id(node.value) for node in dotted}
        single = [n for n in ast.walk(argument.annotation) if isinstance(n, ast.Name)]
        names |= {node.id for node in single if id(node) not in inside}
    return names


def test_the_key_of_every_function_has_types_that_compare_by_every_part():
    for cache, key in listed().items():
        name = cache.split(":")[1]
        if key.startswith("("):
            allowed = KEY_TYPES | ({"?"} if name in UNTYPED else set())
            assert types_of(key) <= allowed, f"{cache} {types_of(key) - allowed}"
        else:
            assert name in STORES, cache


@pytest.mark.parametrize("of", sorted(BY_FIELDS, key=str), ids=lambda of: of.__name__)
def test_a_dataclass_that_is_a_key_compares_every_field(of):
    assert all(field.compare and field.hash is not False for field in dataclasses.fields(of))
    assert "__eq__" in vars(of)
    assert of.__eq__.__qualname__ == f"{of.__name__}.__eq__"


@pytest.mark.parametrize("of", sorted(BY_IDENTITY, key=str), ids=lambda of: of.__name__)
def test_a_key_by_identity_has_no_equality_of_its_own(of):
    assert of.__eq__ is object.__eq__
    assert of.__hash__ is object.__hash__


ANGLE = Angle.input(0, 0.3, 0.1)
CIRCUIT = Circuit(3, [Gate("RY", 0, ANGLE), Gate("CNOT", (0, 1))])
NEAR_1 = float(np.nextafter(1.0, 2.0))


def unitary(phase: float) -> Gate:
    return Gate.unitary(np.diag([1.0, np.exp(1j * phase)]), (0,))


@pytest.mark.parametrize(
    "other",
    [
        Circuit(4, CIRCUIT.gates),
        Circuit(3, CIRCUIT.gates[::-1]),
        Circuit(3, CIRCUIT.gates[:1]),
        Circuit(3, [Gate("RX", 0, ANGLE), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 1, ANGLE), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 0, Angle.input(1, 0.3, 0.1)), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 0, Angle.param(0, 0.3, 0.1)), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 0, Angle.input(0, 0.3 * NEAR_1, 0.1)), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 0, Angle.input(0, 0.3, 0.1 * NEAR_1)), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 0, Angle("input", 0, 0.3, 0.1, (1,))), CIRCUIT.gates[1]]),
        Circuit(3, [Gate("RY", 0, ANGLE), Gate("CNOT", (1, 0))]),
        Circuit(3, [unitary(0.3)]),
        Circuit(3, [unitary(0.3 + 1e-12)]),
    ],
    ids=str,
)
def test_circuits_that_differ_in_any_part_are_different_keys(other):
    assert other != CIRCUIT


def test_matrices_that_differ_by_rounding_are_different_keys():
    assert Circuit(3, [unitary(0.3)]) != Circuit(3, [unitary(0.3 + 1e-12)])


def test_the_keys_of_the_cost_estimates_differ_with_every_setting():
    from transformers import LlamaConfig, LlamaForCausalLM

    keys = [_Key(LlamaForCausalLM, LlamaConfig(hidden_size=size)) for size in (64, 96)]
    assert keys[0] != keys[1]


@given(st.integers(0, 1_999), st.integers(0, 1_999))
@settings(max_examples=20, deadline=None)
def test_angles_that_print_alike_have_their_own_cached_numbers(place, other):
    """Sizes past 1,000 print as their first and last three; one differs by rounding only."""
    circuit = Circuit(1, [Gate("RY", 0, Angle.param(n)) for n in range(2_000)])
    tables = table_of(circuit)
    results = []
    for changed in (place, other):
        params = torch.ones(2_000, dtype=torch.float64)
        params[changed] = NEAR_1
        results.append(cached_numbers(tables, *copied_bytes(params)))
    assert (results[0] is results[1]) == (place == other)


@functools.cache
def table_of(circuit: Circuit) -> KernelPlan:
    return plan(circuit, Readout.z(1))


def test_a_method_that_is_registered_again_is_counted_again():
    before = registry._parameters.cache_info().misses
    registry.parameters("lora", 64, 32)
    OUR_METHODS.revision += 1
    registry.parameters("lora", 64, 32)
    assert registry._parameters.cache_info().misses == before + 2


def test_a_model_that_changes_on_disk_has_another_key(tmp_path):
    from qtha_lab.models.loading import files_of

    file = tmp_path / "config.json"
    file.write_text('{"hidden_size": 64}')
    before = files_of(tmp_path)
    file.write_text('{"hidden_size": 65}')
    os.utime(file, ns=(1, 1))  # a clock too coarse to tell the two writes apart
    assert files_of(tmp_path) != before
