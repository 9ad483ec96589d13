"""Waiting times in a real JupyterLab in headless Chromium: sliders, and the workbench.

The clock is the page's. A slider's time ends with the last drawing of its figures, the workbench's
when its Launch button is visible. Needs the browser of the tests.
"""

import os
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen

ROOT = Path(__file__).resolve().parent.parent
AIMS = {"panels": 150, "opening": 2.0}  # milliseconds, seconds
MOST_BYTES = 1.2e9  # of server and kernel with an idle page
SOURCES = """import torch
from widgets import AnsatzPair, BudgetBar, Chip, CircuitExplorer, DataPath, FigureBench
from widgets import FoolingMachine, Landscape, MethodMap, MpoExplorer, RateCurve, UpdateExplorer
layers = {f"model.layers.{k}.self_attn.q_proj": [2.0**-i for i in range(64)] for k in range(6)}
events = [{"kind": "spectrum", "step": step, "layers": layers} for step in range(0, 100, 5)]
runs = {name: events for name in ("lora", "qtha", "dora", "vera")}"""
# by title: code of an explorer, and its slider or selection that moves
CONTROLS = {
    "MPO, a bond": ("MpoExplorer({'random': torch.randn(256, 256)})", "bond 1"),
    "circuit of 4 qubits, an angle": ("CircuitExplorer(n_qubits=4)", "angle"),
    "circuit of 8 qubits, an angle": ("CircuitExplorer(n_qubits=8)", "angle"),
    "circuit of 4 qubits, layers": ("CircuitExplorer(n_qubits=4, n_layers=3)", "layers"),
    "circuit of 8 qubits, layers": ("CircuitExplorer(n_qubits=8, n_layers=3)", "layers"),
    "circuit, qubits": ("CircuitExplorer(n_qubits=7)", "qubits"),
    "updates of four runs, a step": ("UpdateExplorer(runs)", "step"),
    "budget, waist": ("BudgetBar()", "waist"),
    "path of a token, r": ("DataPath({'one': torch.ones(192)})", "r"),
    "chip, layers": ("Chip()", "layers"),
    "method map, width": ("MethodMap()", "width of the layer"),
    "false wins, rates": ("FoolingMachine(seeds=20, stops=True)", "rates tried for QTHA"),
    "two families, layers": ("AnsatzPair()", "layers"),
    "landscape, layers": ("Landscape()", "layers"),
    "loss against rate, rate": (
        "RateCurve(recording='tiny-chat', learning_rate=0.03)",
        "learning rate",
    ),
    "figure bench, venue": ("FigureBench()", "venue"),
}
QUIET = 400  # milliseconds without another drawing that end a move
MOVE, WATCH = (
    Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8")
    for name in ("move_slider", "watch_form")
)
WORKBENCH = "from qtha_lab.widgets import Workbench\n\nWorkbench()"


@contextmanager
def open_notebook(
    cells: Iterable[str], notebook: Path, *, size: tuple[int, int] = (1400, 1000), **env: str
) -> Iterator[tuple[Any, Path]]:
    """Open a notebook, and yield the `Lab` of tests/support and the home folder of the server.

    Args:
        cells: Source of each cell.
        notebook: Path to write; the server serves its folder.
        size: Width and height of the window in pixels.
        env: Environment variables of the kernel.
    """
    import nbformat
    from support.jupyter_browser import open_lab, serve

    notebook.parent.mkdir(parents=True, exist_ok=True)
    content = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)])
    nbformat.write(content, notebook)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        serve(notebook.parent, Path(home)) as server,
        open_lab(server, notebook, size=size, PYTHONPATH=path, **env) as lab,
    ):
        yield lab, Path(home)


def bench_panels(
    rounds: int = 15,
    controls: Mapping[str, tuple[str, str]] = CONTROLS,
    show: Show = unseen,
) -> dict[str, Any]:
    """Time a slider of every explorer until its figures are drawn, in JupyterLab.

    Args:
        rounds: Moves of every slider, back and forth; two more are not counted.
        controls: Explorers and sliders by title.
        show: Called with the number of finished controls, of all, and the current one.
    """
    before, measured = conditions(), []
    cells = [SOURCES, *(source for source, _ in controls.values())]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        open_notebook(cells, Path(folder, "panels.ipynb"), size=(1400, 6000)) as (lab, _),
    ):
        lab.menu("Run", "Run All Cells")
        panels = lab.page.locator(".qtha-explorer")
        for number, (label, (_, control)) in enumerate(controls.items()):
            show(number, len(controls), label)
            panel = panels.nth(number)
            panel.scroll_into_view_if_needed()
            panel.locator(".qtha-figure[data-drawings]").last.wait_for()
            lab.page.wait_for_timeout(1000)
            times = _moves(lab.page, panel, control, rounds)
            measured.append({"name": label, "milliseconds": times})
    return {"benchmark": "panels", **before, "controls": measured}


def _moves(page: Any, panel: Any, control: str, rounds: int) -> list[float]:
    kinds = (panel.get_by_role(r, name=control, exact=True) for r in ("slider", "combobox"))
    slider = next(kinds).or_(next(kinds))
    at_start = slider.evaluate(
        "e => e.tagName === 'SELECT' ? e.selectedIndex === 0 : e.ariaValueNow === e.ariaValueMin"
    )
    steps = [(1 if at_start else -1) * (1 - 2 * (number % 2)) for number in range(rounds + 2)]
    handle = slider.element_handle()
    times = [page.evaluate(MOVE, [handle, step, QUIET]) for step in steps]
    if None in times:
        raise RuntimeError(f"{control}: no figure changed")
    return times[2:]


def bench_opening(rounds: int = 5, show: Show = unseen) -> dict[str, Any]:
    """Time the workbench in new kernels, from Run to its form, and measure its memory.

    Args:
        rounds: Counted kernels; the first one in a home folder is apart.
        show: Called with the number of finished kernels and of all.
    """
    before, seconds = conditions(), []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        notebook, cache = Path(folder, "root", "workbench.ipynb"), str(Path(folder, "cache"))
        with open_notebook([WORKBENCH], notebook, QTHA_LAB_CACHE=cache) as (lab, _):
            for number in range(rounds + 1):
                show(number, rounds + 1)
                if number:
                    lab.menu("Edit", "Clear Outputs of All Cells")
                    lab.restart_kernel()
                    lab.page.wait_for_timeout(2000)  # work of the kernel after it is idle
                lab.page.locator(".jp-CodeCell").first.locator(".cm-content").click()
                lab.page.evaluate(f"() => {{ window.opened = (\n{WATCH})(); }}")
                lab.page.keyboard.press("Control+Enter")
                seconds.append(lab.page.evaluate("() => window.opened"))
                lab.page.wait_for_timeout(3000)  # work of the panel after the form
            memory = {
                "server and kernel": _memory("python", "jupyter"),
                "browser": _memory("chrom"),
            }
    times = {"first": seconds[0], "seconds": seconds[1:]}
    return {"benchmark": "opening", **before, **times, "memory": memory}


def _memory(*names: str) -> int:
    """Return the bytes of all processes below this one with such a name, shared pages in parts."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.name().startswith(names):
                total += process.memory_full_info().pss
    return total


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per control, or the times of the workbench."""
    aim = AIMS[figures["benchmark"]]
    if figures["benchmark"] == "opening":
        times = figures["seconds"]
        middle, span = statistics.median(times), f"{min(times):.1f} to {max(times):.1f}"
        rows = [
            ("workbench in a fresh kernel", "s", "from … to", f"within {aim:g} s"),
            ("from Run to the form", f"{middle:.1f}", span, "yes" if middle <= aim else "no"),
            ("the first time in a home folder", f"{figures['first']:.1f}", "", ""),
        ]
        memory = [("idle page", "GB", f"within {MOST_BYTES / 1e9:g} GB")]
        for name, held in figures["memory"].items():
            memory.append((name, f"{held / 1e9:.2f}", "yes" if held <= MOST_BYTES else "no"))
        return [
            (f"headless Chromium, {len(times)} kernels", rows),
            ("memory, shared pages in parts", memory),
        ]
    rows = [("control", "median, ms", "quartiles", f"within {aim} ms")]
    for entry in figures["controls"]:
        times = entry["milliseconds"]
        low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else 3 * times
        within = "yes" if middle <= aim else "no"
        rows.append((entry["name"], f"{middle:.0f}", f"{low:.0f} to {high:.0f}", within))
    moves = len(figures["controls"][0]["milliseconds"])
    caption = "milliseconds from a slider's event to the last drawn figure, headless Chromium"
    return [(f"{caption}, medians of {moves} moves", rows)]
