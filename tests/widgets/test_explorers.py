"""Contract of every explorer.

Its state is plain data and comes back, the newest wins, it nests and links.
"""

import ast
import asyncio
import builtins
import json
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import ipywidgets as ipw
import pytest
import torch
from support.refusals import refused
from support.run_folders import run_folder, status, write

import widgets
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from widgets.explorers.explorer import NONE, Explorer

SVG = "{http://www.w3.org/2000/svg}"


def spectrum(step, size=1.0):
    layers = {name: [size * step, step / 2] for name in ("0.q", "0.v")}
    return {"kind": "spectrum", "step": step, "layers": layers}


RANDOM = torch.Generator().manual_seed(0)
WEIGHTS = {
    "q": torch.randn(16, 16, generator=RANDOM),
    "v": torch.randn(8, 12, generator=RANDOM),
}
TOKENS = {name: torch.randn(24, generator=RANDOM) for name in ("one", "two")}
RECORDED = [str(path) for path in sorted((data_dir() / "runs").glob("2*"))]
# By class: what it is made from, and a change of every trait that a control moves.
EXAMPLES = {
    widgets.AnsatzPair: (
        (),
        {"first": "product", "second": "strongly_entangling", "n_qubits": 2, "n_layers": 1},
    ),
    widgets.Landscape: (
        (),
        {"ansatz": "qtha", "n_qubits": 2, "n_layers": 2, "read_out": "all wires"},
    ),
    widgets.BudgetBar: (
        (),
        {
            "model": "Qwen2-7B",
            "r": 8,
            "waist": 64,
            "bond_dim": 5,
            "n_layers": 2,
            "lora_r": 4,
        },
    ),
    widgets.Chip: (
        (),
        {
            "topology": "line",
            "n_qubits": 3,
            "n_layers": 2,
            "cz_error": 0.01,
            "shots": 300,
            "processor": "trapped-ion",
        },
    ),
    widgets.CircuitExplorer: (
        (),
        {
            "ansatz": "product",
            "n_qubits": 3,
            "n_layers": 2,
            "reupload": False,
            "seed": 4,
            "inputs": [0.1, 0.2, 0.3],
            "angle": "p1",
            "observable": "Z2",
        },
    ),
    widgets.DataPath: (
        (TOKENS,),
        {
            "token": "two",
            "init": "paper",
            "r": 3,
            "input_scale": 3.0,
            "branches": "circuit alone",
            "stage": "z",
        },
    ),
    widgets.EngineExplorer: (
        ("qtha", 2, 1, 4),
        {"ansatz": "product", "n_qubits": 3, "n_layers": 2, "batch": 8},
    ),
    widgets.FigureBench: (
        (),
        {
            "recording": "tiny-qa",
            "kind": "seeds",
            "target": "one-column",
            "names": "full",
            "sight": "greyscale",
        },
    ),
    widgets.FoolingMachine: (
        (),
        {
            "rule": "lower mean",
            "seeds": 4,
            "rates": 2,
            "measures": 3,
            "subsets": 2,
            "stops": True,
        },
    ),
    widgets.RateCurve: (
        (),
        {
            "recording": "smollm2-qa",
            "first": "qtha_gradient(r=4)",
            "second": "lora(r=2,lora_alpha=4)",
            "learning_rate": 0.01,
            "measure": "train_loss",
        },
    ),
    widgets.MethodMap: ((), {"kind": "those that merge", "width": 64, "r": 8}),
    widgets.MpoExplorer: (
        (WEIGHTS,),
        {"weight": "v", "n_sites": 3, "order": [0, 2, 1], "bonds": [2, 3]},
    ),
    widgets.UpdateExplorer: (
        ({"lora": [spectrum(0), spectrum(5)], "qtha": [spectrum(0), spectrum(9, 2.0)]},),
        {"runs": ["qtha", "lora"], "layer": "0.v", "step": 5, "leading": 64, "history": "lora"},
    ),
    widgets.Views: (
        (RECORDED[:3],),
        {
            "runs": RECORDED[1:],
            "view": "scatter",
            "y": "train_loss",
            "x": "peak_memory_mib",
            "smoothing": 0.5,
            "log_x": True,
            "log_y": True,
            "bands": False,
            "brushed": [Path(RECORDED[2]).name],
        },
    ),
}
# a choice that an explorer begins with
LEADING = (
    "first",
    "ansatz",
    "weight",
    "layer",
    "view",
    "model",
    "token",
    "recording",
    "rule",
    "kind",
    "topology",
)
every_explorer = pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)


def explorers(kind: type = Explorer) -> set[str]:
    """Names of all explorers; traitlets makes nameless subclasses for added traits."""
    below = [sub for sub in kind.__subclasses__() if sub.__name__ != kind.__name__]
    return {kind.__name__, *(name for sub in below for name in explorers(sub))} - {"Explorer"}


def test_every_explorer_is_here():
    _ = [getattr(widgets, name) for name in widgets.__all__]
    assert explorers() == {kind.__name__ for kind in EXAMPLES}


@every_explorer
def test_its_state_is_plain_data_and_comes_back(kind):
    sources, changes = EXAMPLES[kind]
    explorer = kind(*sources)
    start = explorer.state
    for name, value in changes.items():
        setattr(explorer, name, value)
    state = json.loads(json.dumps(explorer.state))
    assert {name: state[name] for name in changes} == changes
    assert all(state[name] != start[name] for name in changes)
    again = kind.from_state(state, *sources)
    assert again.state == explorer.state
    assert again.code == explorer.code
    assert [f.table for f in again.figures.values()] == [f.table for f in explorer.figures.values()]


@every_explorer
def test_its_python_imports_all_names_but_the_data_of_its_reader(kind):
    tree = ast.parse(kind(*EXAMPLES[kind][0]).code)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)} | vars(builtins).keys()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            exec(ast.unparse(node), {})
            bound |= {alias.asname or alias.name for alias in node.names}
    assert {node.id for node in names} - bound <= {"inputs", "runs", "weights"}


@every_explorer
def test_a_value_that_is_not_offered_is_refused_and_nothing_moves(kind):
    explorer = kind(*EXAMPLES[kind][0])
    state = explorer.state
    name = next(n for n in kind.STATE if n in LEADING)
    with pytest.raises(Refusal, match=f"{name} must be one of .*, got 'nonsense'"):
        setattr(explorer, name, "nonsense")
    with refused("The state of an explorer", "colour"):
        explorer.state = {"colour": 1}
    assert explorer.state == state


@every_explorer
def test_a_control_shows_what_python_sets_and_sets_what_it_shows(kind):
    sources, changes = EXAMPLES[kind]
    explorer = kind(*sources)
    for name, control in explorer.controls.items():
        setattr(explorer, name, tuple(v) if isinstance(v := changes[name], list) else v)
        shown = None if control.value == NONE else control.value
        assert shown == getattr(explorer, name), name
    name, control = next(iter(explorer.controls.items()))
    control.value = next(value for _, value in control.options if value != control.value)
    assert getattr(explorer, name) == control.value
    assert explorer.error.text == ""


@every_explorer
def test_two_of_them_are_tied_by_a_link_and_nest_in_any_box(kind):
    sources, changes = EXAMPLES[kind]
    one, two = kind(*sources), kind(*sources)
    name = next(n for n in changes if n in LEADING)
    ipw.link((one, name), (two, name))
    one.controls[name].value = changes[name]
    assert getattr(two, name) == two.controls[name].value == changes[name]
    assert two.figures.keys() == one.figures.keys()
    assert ipw.HBox([ipw.VBox([one]), two]).children[1] is two


@every_explorer
def test_without_a_widget_there_is_a_picture_of_its_figures_and_their_words(kind):
    explorer = kind(*EXAMPLES[kind][0])
    assert "application/vnd.jupyter.widget-view+json" in explorer._repr_mimebundle_()
    bundle = explorer.still()
    picture = ElementTree.fromstring(bundle["image/svg+xml"])
    assert picture.find(f"{SVG}title").text == bundle["text/plain"]
    for figure in explorer.figures.values():
        assert figure.alt in bundle["text/plain"]
    assert len(picture.findall(f"{SVG}svg")) == len(explorer.figures)


@every_explorer
def test_while_one_state_is_computed_only_the_newest_waits(kind, monkeypatch):
    sources, changes = EXAMPLES[kind]
    computed, gate, began = [], threading.Event(), threading.Event()
    compute = kind.compute

    def slowly(self, state):
        computed.append(dict(vars(state)))
        began.set()
        gate.wait(60)
        return compute(self, state)

    async def work():
        explorer = kind(*sources)
        monkeypatch.setattr(kind, "compute", slowly)
        values = list(changes.items())[:3]
        setattr(explorer, *values[0])
        await asyncio.to_thread(began.wait, 60)
        for change in values[1:]:
            setattr(explorer, *change)
            await asyncio.sleep(0)
        gate.set()
        while explorer.background.tasks:
            await asyncio.sleep(0.01)
        return explorer

    explorer = asyncio.run(work())
    assert len(computed) == 2
    assert {k: explorer.state[k] for k, _ in list(changes.items())[:3]} == dict(
        list(changes.items())[:3]
    )
    newest = kind.from_state(explorer.state, *sources)
    assert explorer.drawing.code == newest.drawing.code


@pytest.mark.parametrize("kind", [k for k in EXAMPLES if k.PRESETS], ids=lambda k: k.__name__)
def test_three_presets_pose_a_question_and_set_the_whole_state(kind):
    explorer = kind(*EXAMPLES[kind][0])
    assert len(kind.PRESETS) == 3
    buttons = explorer.children[0].children
    assert [button.description for button in buttons] == list(kind.PRESETS)
    for button, state in zip(buttons, kind.PRESETS.values(), strict=True):
        assert button.description.endswith("?")
        button.click()
        assert explorer.error.text == ""
        assert {name: explorer.state[name] for name in state} == state
    with refused("preset", "'nonsense'"):
        explorer.preset("nonsense")


def test_runs_are_found_by_their_ids(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path))
    run, other = (run_folder(tmp_path, f"lora(r={r})") for r in (2, 4))
    for one in (run, other):
        write(one, status("running", 0), spectrum(5), status("finished", 5))
    explorer = widgets.UpdateExplorer([run])
    explorer.runs = [run.id, other.id]
    assert set(explorer.spectra()) == {"lora(r=2)", "lora(r=4)"}
    again = widgets.UpdateExplorer.from_state(json.loads(json.dumps(explorer.state)))
    assert again.code == explorer.code
    with pytest.raises(Refusal):
        explorer.runs = ["no-such-run"]
    assert explorer.runs == [run.id, other.id]
