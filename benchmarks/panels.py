"""From a control to the changed figure, in the page: a real JupyterLab in headless Chromium.

The clock is the page's: from a slider's event until no figure of its explorer has been drawn again
for a
while; the last drawing counts.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.lab import open_notebook
from benchmarks.machine import conditions
from benchmarks.reporting import pipes

AIM = 100  # milliseconds for up to eight qubits
SOURCES = """import torch
from widgets import CircuitExplorer, MpoExplorer, UpdateExplorer
layers = {f"model.layers.{k}.self_attn.q_proj": [2.0**-i for i in range(64)] for k in range(6)}
events = [{"kind": "spectrum", "step": step, "layers": layers} for step in range(0, 100, 5)]
runs = {name: events for name in ("lora", "qtha", "dora", "vera")}"""
# By name: what makes an explorer, and which of its sliders is moved.
CONTROLS = {
    "MPO, a bond": ("MpoExplorer({'random': torch.randn(256, 256)})", "bond 1"),
    "circuit of 4 qubits, an angle": ("CircuitExplorer(n_qubits=4)", "angle"),
    "circuit of 8 qubits, an angle": ("CircuitExplorer(n_qubits=8)", "angle"),
    "circuit of 4 qubits, layers": ("CircuitExplorer(n_qubits=4, n_layers=3)", "layers"),
    "circuit of 8 qubits, layers": ("CircuitExplorer(n_qubits=8, n_layers=3)", "layers"),
    "circuit, qubits": ("CircuitExplorer(n_qubits=7)", "qubits"),
    "updates of four runs, a step": ("UpdateExplorer(runs)", "step"),
}
# Moves a slider by one, and says after how many milliseconds the last figure was drawn again.
MOVE = """([slider, place, quiet]) => new Promise(done => {
    const panel = slider.closest('.qtha-explorer'), began = performance.now();
    let last, timer = setTimeout(() => done(null), 20000);
    const watch = new MutationObserver(() => {
        last = performance.now();
        clearTimeout(timer);
        timer = setTimeout(() => { watch.disconnect(); done(last - began); }, quiet);
    });
    watch.observe(panel, { subtree: true, attributeFilter: ['data-drawings'] });
    slider.value = place;
    slider.dispatchEvent(new Event('input'));
})"""
QUIET = 400  # milliseconds without another drawing


def bench_panels(
    rounds: int = 15,
    on_control: Callable[[str], None] = lambda name: None,
    controls: Mapping[str, tuple[str, str]] = CONTROLS,
) -> dict[str, Any]:
    """Move one slider of each explorer to and fro.

    Args:
        rounds: Moves that count; two before them, which load and compile, do not.
        on_control: Called with every control's name.
        controls: By name, the Python that makes an explorer, and the slider of it that is moved.

    Returns:
        `machine`, `commit` and `controls`, each with its `name` and `milliseconds` of every move.
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
            on_control(label)
            panel = panels.nth(number)
            panel.scroll_into_view_if_needed()
            panel.locator(".qtha-figure[data-drawings]").last.wait_for()
            lab.page.wait_for_timeout(1000)
            times = _moves(lab.page, panel, control, rounds)
            measured.append({"name": label, "milliseconds": times})
    return {"benchmark": "panels", **before, "controls": measured}


def _moves(page, panel, control: str, rounds: int) -> list[float]:
    slider = panel.get_by_role("slider", name=control, exact=True)
    start = int(slider.input_value())
    step = 1 if start == int(slider.get_attribute("min") or 0) else -1
    handle, times = slider.element_handle(), []
    for number in range(rounds + 2):
        place = start + step * (1 - number % 2)
        times.append(page.evaluate(MOVE, [handle, place, QUIET]))
    if None in times:
        raise RuntimeError(f"{control}: no figure changed")
    return times[2:]


def table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text: the median of each control, and its quartiles."""
    rows = [("control", "median, ms", "quartiles", f"within {AIM} ms")]
    for entry in result["controls"]:
        times = entry["milliseconds"]
        low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else 3 * times
        within = "yes" if middle <= AIM else "no"
        rows.append((entry["name"], f"{middle:.0f}", f"{low:.0f} to {high:.0f}", within))
    return rows


def caption(result: dict[str, Any]) -> str:
    """What the table holds, and where it was measured."""
    moves = len(result["controls"][0]["milliseconds"])
    return (
        "milliseconds from a slider's event to the last figure drawn in the page, headless"
        f" Chromium, medians of {moves} moves"
    )


def markdown(result: dict[str, Any]) -> str:
    """The caption and the table for a page."""
    return f"{caption(result)}\n\n{pipes(table(result))}\n"
