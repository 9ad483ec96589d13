"""The explorers of lessons 1 and 2 as a reader uses them.

A real JupyterLab, a control moved, figures that follow.
"""

import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.notebooks import FOLDER, copy_until

LESSON_1 = FOLDER / "01_lora_and_rank.ipynb"
LESSON_2 = FOLDER / "02_mpo_and_bond_dimension.ipynb"
# The ring on the error plot as plotly holds it, and the texts of the chain's picture.
RING = """() => {
    const plots = [...document.querySelectorAll('.qtha-explorer .js-plotly-plot')];
    const ring = plots.flatMap(p => p.data ?? []).find(t => t.name === 'chosen bonds');
    return ring ? [ring.x[0], ring.y[0]] : null;
}"""
CHAIN = """() => [...document.querySelectorAll('.qtha-explorer .qtha-drawing > svg text')]
    .map(text => text.textContent)"""

# Every line of every figure of the explorer, as plotly holds it.
DRAWN = """() => JSON.stringify([...document.querySelectorAll('.qtha-explorer .js-plotly-plot')]
    .flatMap(p => (p.data ?? []).map(t => [t.name, [...(t.y ?? [])]])))"""


@pytest.mark.browser
@pytest.mark.slow
def test_another_step_and_another_layer_draw_other_spectra(jupyter, tmp_path):
    notebook = copy_until(LESSON_1, "SpectrumExplorer(", tmp_path)
    with open_lab(jupyter, notebook, size=(1400, 1800), QTHA_LAB_PROFILE="ci") as lab:
        page = lab.page
        lab.menu("Run", "Run All Cells")
        explorer = page.locator(".qtha-explorer").first
        handle = explorer.locator("input[type=range]").first
        handle.scroll_into_view_if_needed()
        expect(explorer.locator(".qtha-table td").first).to_be_visible()
        page.wait_for_function(f"() => JSON.parse(({DRAWN})()).length > 1")

        before = page.evaluate(DRAWN)
        handle.focus()
        page.keyboard.press("ArrowLeft")  # the record before the last
        page.wait_for_function("before => (" + DRAWN + ")() !== before", arg=before)

        before = page.evaluate(DRAWN)
        explorer.locator("select").first.select_option(index=1)
        page.wait_for_function("before => (" + DRAWN + ")() !== before", arg=before)
        assert lab.errors() == []
        assert lab.complaints == []


@pytest.mark.browser
@pytest.mark.slow
def test_moving_a_bond_moves_the_ring_and_the_chain(jupyter, tmp_path):
    notebook = copy_until(LESSON_2, "MpoExplorer(", tmp_path)
    with open_lab(jupyter, notebook, size=(1400, 1800), QTHA_LAB_PROFILE="ci") as lab:
        page = lab.page
        lab.menu("Run", "Run All Cells")
        explorer = page.locator(".qtha-explorer").first
        handle = explorer.locator("input[type=range]").first
        handle.scroll_into_view_if_needed()
        expect(explorer.locator(".qtha-table td").first).to_be_visible()
        page.wait_for_function(f"() => ({RING})() !== null")
        parameters, error = page.evaluate(RING)
        assert error < 1e-6  # nothing is cut to begin with

        handle.focus()
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
        page.wait_for_function(f"() => ({RING})()[0] < {parameters} && ({RING})()[1] > 0.1")
        parameters, error = page.evaluate(RING)
        expect(explorer.locator(".qtha-table")).to_contain_text(f"{parameters:,}")
        expect(explorer.locator(".qtha-table")).to_contain_text(f"{error:.3f}")

        assert page.locator(".modebar-btn").count() > 0
        assert page.locator("[data-title^='Share']").count() == 0  # with plotly's servers
        explorer.locator("select").nth(1).select_option("3")
        expect(explorer.locator("input[type=range]")).to_have_count(2)
        page.wait_for_function(f"() => ({CHAIN})().filter(t => t === '4').length >= 2")
        assert lab.errors() == []
        assert lab.complaints == []
