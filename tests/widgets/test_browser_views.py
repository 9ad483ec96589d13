"""Views in a real JupyterLab.

Runs of two launches overlaid, brushed with the mouse, and a figure that leaves.
"""

import io
import xml.etree.ElementTree as ElementTree

import nbformat
import pypdf
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.run_folders import finish, run_folder, status, train, write

CELL = """
from qtha_lab.runs.run import list_runs
from widgets import Views

views = Views([run.id for run in list_runs()])
views
"""
# What plotly holds of the figure that is seen: names and points of its lines.
SHOWN = """() => {
    const plots = [...document.querySelectorAll('.qtha-views .js-plotly-plot')];
    const plot = plots.find(p => p.offsetParent !== null);
    return (plot?.data ?? []).map(t => [t.name ?? '', t.x?.length ?? 0, [t.marker?.opacity ?? 1].flat()]);
}"""
# Where on the page a point of the figure is.
PLACE = """([x, y]) => {
    const plot = [...document.querySelectorAll('.qtha-views .js-plotly-plot')].find(p => p.offsetParent !== null);
    const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
    return [box.left + xaxis._offset + xaxis.l2p(x), box.top + yaxis._offset + yaxis.l2p(y)];
}"""


def launch(folder, name, r, losses):
    """The runs of a launch as they lie there when it has ended."""
    for seed, loss in enumerate(losses):
        run = run_folder(folder, f"lora(r={r})", seed, name=name, steps=30)
        steps = [train(step, 5 - (5 - loss) * step / 30) for step in range(1, 31)]
        evals = [
            {"kind": "eval", "step": step, "loss": 5 - (5 - loss) * step / 30}
            for step in (0, 15, 30)
        ]
        write(run, status("running", 0), *steps, *evals)
        finish(
            run,
            eval_loss=loss,
            train_loss=loss,
            seconds_per_step=0.1 * r,
            peak_memory_bytes=2**28 * r,
        )


@pytest.mark.browser
@pytest.mark.slow
def test_runs_of_two_launches_are_overlaid_brushed_and_saved(jupyter, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    monkeypatch.setenv("QTHA_LAB_RUNS", str(runs))
    launch(runs, "first", 2, (4.2, 4.4))
    launch(runs, "second", 8, (4.0, 4.1))
    notebook = tmp_path / "views.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.strip())]), notebook
    )
    with open_lab(jupyter, notebook, size=(1400, 1400)) as lab:
        page = lab.page
        lab.menu("Run", "Run All Cells")
        panel = page.locator(".qtha-views")
        page.wait_for_function(f"() => ({SHOWN})().filter(t => t[1] === 3).length >= 6")
        assert {name for name, *_ in page.evaluate(SHOWN)} == {"lora(r=2)", "lora(r=8)"}
        page.screenshot(path=tmp_path / "curves.png")

        view = panel.locator("select").first
        view.select_option(label="Parallel coordinates")
        page.wait_for_function(f"() => ({SHOWN})().length >= 10")
        (x0, y0), (x1, y1) = (page.evaluate(PLACE, place) for place in ([-0.05, 1.06], [0.05, 0.5]))
        page.mouse.move(x0, y0)
        page.mouse.down()
        page.mouse.move(x1, y1, steps=5)
        page.mouse.up()
        expect(panel.get_by_role("button", name="Clear brush (2 runs)")).to_be_visible()
        page.screenshot(path=tmp_path / "parallel.png")

        view.select_option(label="Scatter")
        pale = f"() => ({SHOWN})().flatMap(t => t[2]).filter(o => o < 0.2).length"
        page.wait_for_function(f"() => ({pale})() === 2")
        page.screenshot(path=tmp_path / "scatter.png")

        panel.get_by_role("button", name="Save figure").click()
        save = panel.locator(".qtha-save")
        save.get_by_label("lora(r=8)", exact=True).fill("rank eight")
        save.get_by_label("lora(r=8)", exact=True).press("Tab")
        save.get_by_role("button", name="Save").click()
        expect(
            save.get_by_role("link", name="Download eval_loss_against_trainable_parameters.pdf")
        ).to_be_visible()
        path = tmp_path / "figures" / "eval_loss_against_trainable_parameters.pdf"
        reader = pypdf.PdfReader(io.BytesIO(path.read_bytes()))
        assert reader.metadata.title == "Evaluation loss against trainable parameters"
        assert "rank eight" in reader.pages[0].extract_text()

        save.get_by_label("as", exact=True).select_option(label="SVG")
        with page.expect_download() as download:
            save.get_by_role("button", name="Save").click()
            save.get_by_role(
                "link", name="Download eval_loss_against_trainable_parameters.svg"
            ).click()
        drawn = ElementTree.parse(download.value.path())
        assert "rank eight" in "".join(drawn.getroot().itertext())
        page.screenshot(path=tmp_path / "saved.png")

        # a sentence in the place of a figure has room on a page of a hundred pixels too
        page.set_viewport_size({"width": 500, "height": 1400})
        view.select_option(label="Importance of settings")
        expect(panel.locator(".qtha-figure > p").first).to_contain_text("must rest on at least")
        page.wait_for_function(
            "() => document.querySelector('.js-plotly-plot')._fullLayout._size.h > 60"
        )
        assert lab.errors() == []
        assert lab.complaints == []
