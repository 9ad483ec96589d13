"""The two pages of JupyterLite: their Python is right, and they run in a browser by themselves."""

import functools
import http.server
import math
import runpy
import threading
from pathlib import Path

import nbformat
import pytest
from support.jupyter_browser import FLAGS, chromium
from support.waiting import PATIENCE

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "lite").glob("*.ipynb"))


def functions_of(page: Path) -> dict:
    """Names that the cells of a page define, without its sliders."""
    names: dict = {}
    for cell in nbformat.read(page, as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source.split("\ninteract(")[0].split("\nsliders =")[0], names)
    return names


def test_the_simulator_by_hand_equals_the_package():
    import torch

    from qtha_lab.circuits import Angle, Circuit, Gate
    from qtha_lab.simulators import expval_z

    names = functions_of(DOCS / "lite" / "circuit_by_hand.ipynb")
    state = names["circuit"](0.4, -1.2, 0.9, 0.7)
    gates = [Gate("RY", wire, Angle.input(wire)) for wire in range(3)]
    gates += [Gate("CNOT", (wire, (wire + 1) % 3)) for wire in range(3)]
    circuit = Circuit(3, [*gates, Gate("RY", 0, Angle.param(0))])
    data, trained = (torch.tensor(v, dtype=torch.float64) for v in ([[0.4, -1.2, 0.9]], [0.7]))
    right = expval_z(circuit, data, trained)[0].tolist()
    assert [names["mean_z"](state, wire) for wire in range(3)] == pytest.approx(right, abs=1e-12)


def test_the_chain_by_hand_has_the_bonds_of_the_package_and_is_exact():
    import torch

    from qtha_lab.tensor_networks import mpo

    names = functions_of(DOCS / "lite" / "chain_by_hand.ipynb")
    for width in (1.0, 2.0, 5.0):
        matrix = names["exponential"](width)
        cores = names["chain"](matrix, 4, bond=16)
        ours = [len(core[0][0]) for core in cores[:-1]]
        dims = (2, 2, 2, 2)
        tensor = torch.tensor(matrix, dtype=torch.float64)
        chain = mpo.from_matrix(tensor, dims, dims, cutoff=1e-9)
        assert ours == [3, 3, 3]
        assert torch.allclose(mpo.dense(*chain), tensor)
        entry = names["entry"](cores, 3, 11)
        assert math.isclose(entry, math.exp(-8 / width), abs_tol=1e-12)
    gaussian = [[math.exp(-((i - j) ** 2) / 4) for j in range(16)] for i in range(16)]
    assert names["error"](gaussian, names["chain"](gaussian, 4, 3)) > 1e-4


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the built pages; npm and PyPI must be reachable once."""
    pytest.importorskip("jupyterlite_pyodide_kernel")
    folder = tmp_path_factory.mktemp("lite")
    assert runpy.run_path(str(DOCS / "lite.py"))["main"](str(folder)) == 0
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


SEEN = {"circuit_by_hand": ("= cos 0.7", 4), "chain_by_hand": ("error below 1e-9: True", 2)}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_from_the_site_alone_and_its_sliders_work(page, site):
    from playwright.sync_api import expect, sync_playwright

    text, n_sliders = SEEN[page.stem]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        view = browser.new_page(viewport={"width": 1200, "height": 3000})
        view.set_default_timeout(1000 * PATIENCE)
        others: list[str] = []
        view.on("request", lambda r: others.append(r.url) if not r.url.startswith(site) else None)
        view.goto(f"{site}/notebooks/index.html?path={page.name}")
        for status in ("unknown", "idle"):  # cells that are run before the kernel is there, are not
            view.locator(f".jp-Notebook-ExecutionIndicator[data-status={status}]").wait_for()
        view.get_by_role("menuitem", name="Run", exact=True).click()
        view.get_by_text("Run All Cells", exact=True).click()
        outputs = view.locator(".jp-OutputArea-output")
        expect(outputs.filter(has_text=text).first).to_be_visible()
        sliders = view.locator(".widget-slider")
        expect(sliders).to_have_count(n_sliders)
        shown = view.locator(".widget-output").last
        before = shown.inner_text()
        sliders.last.locator(".noUi-handle").focus()
        view.keyboard.press("ArrowLeft")
        expect(shown).not_to_have_text(before)
        browser.close()
    foreign = [url for url in others if url.startswith(("http:", "https:"))]
    assert foreign == []
