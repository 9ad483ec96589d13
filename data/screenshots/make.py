"""Make workbench.png: the workbench after a finished QTHA-against-LoRA comparison, in a real JupyterLab.

Usage: python data/screenshots/make.py [WIDTH]   (about two minutes on two cores; needs chromium)
"""

import sys
import tempfile
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from support.jupyter_browser import expect, open_lab, serve  # noqa: E402

CELL = """
from qtha_lab import Comparison
from widgets import Workbench

Workbench(Comparison(methods="qtha(r=4,waist=16,bond_dim=3), lora(r=2,lora_alpha=4)"))
"""
FINISHED = """() => {
    const states = [...document.querySelectorAll('.qtha-state')].map(state => state.innerText);
    return states.length === 2 && states.every(state => state.startsWith('finished'));
}"""


def make(picture: Path, width: int) -> None:
    """Launch the comparison by its button, wait for its end and photograph the panel."""
    with tempfile.TemporaryDirectory() as folder:
        notebook, home = Path(folder) / "workbench.ipynb", Path(folder) / "home"
        home.mkdir()
        page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
        nbformat.write(page, notebook)
        runs = str(Path(folder) / "runs")
        with (
            serve(Path(folder), home) as server,
            open_lab(server, notebook, size=(width, 2400), QTHA_LAB_RUNS=runs) as lab,
        ):
            lab.page.keyboard.press("Control+b")  # fold the file browser away
            lab.run_cell("Workbench(")
            bench = lab.page.locator(".qtha-workbench")
            expect(bench.locator(".qtha-table td").first).to_be_visible()
            bench.get_by_role("button", name="Launch").click()
            lab.page.wait_for_function(FINISHED)
            expect(bench.locator(".qtha-text", has_text="Peak learning rates")).to_be_visible()
            bench.screenshot(path=picture, animations="disabled")


if __name__ == "__main__":
    width = int(sys.argv[1]) if len(sys.argv) > 1 else 1400
    name = "workbench.png" if width == 1400 else f"workbench-{width}.png"
    make(HERE / name, width)
    print(HERE / name)
