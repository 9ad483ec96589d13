"""Explorers within reach.

Every control by keyboard, in narrow and enlarged windows, and in a panel of their own.
"""

from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import Lab, open_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
EXPLORERS = """import torch
from IPython.display import display
from widgets import CircuitExplorer, EngineExplorer, MpoExplorer, UpdateExplorer
spectrum = {"kind": "spectrum", "step": 5, "layers": {"model.layers.0.self_attn.q_proj": [2.0, 1.0]}}
display(CircuitExplorer(), MpoExplorer({"random": torch.randn(16, 16)}))
display(UpdateExplorer({"lora": [spectrum, spectrum | {"step": 6}]}), EngineExplorer("qtha", 2, 1, 4))"""
CONTROLS = "input, select, button:not(.modebar-btn)"
# Controls that reach past what is shown of their output, or whose own words do not fit into them.
CLIPPED = """() => [...document.querySelectorAll('.qtha-explorer')].flatMap(panel => {
    const edge = Math.min(innerWidth, panel.closest('.jp-OutputArea-output').getBoundingClientRect().right) + 1;
    return [...panel.querySelectorAll('input, select, button, output, .qtha-slider > span')]
        .filter(e => e.offsetParent && !e.closest('.js-plotly-plot'))
        .filter(e => e.getBoundingClientRect().right > edge
            || (e.matches('button, output, span') && e.scrollWidth > e.clientWidth + 1))
        .map(e => e.outerHTML.slice(0, 160));
})"""
NAME = """() => { const e = document.activeElement;
    return (e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent).trim(); }"""


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    """A page with every explorer."""
    notebook = tmp_path_factory.mktemp("reach") / "page.ipynb"
    cell = nbformat.v4.new_code_cell(EXPLORERS)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with open_lab(jupyter, notebook, size=(1400, 4000)) as lab:
        lab.run_cell("CircuitExplorer")
        expect(lab.page.locator(".qtha-explorer")).to_have_count(4)
        for number in range(4):
            expect(explorer(lab, number).locator("[data-drawings]").last).to_be_visible()
        yield lab
        assert lab.complaints == []


def explorer(lab: Lab, number: int) -> Locator:
    return lab.page.locator(".qtha-explorer").nth(number)


def test_tab_comes_to_every_control_in_the_order_of_the_page(lab):
    for number in range(4):
        controls = explorer(lab, number).locator(CONTROLS).locator("visible=true")
        expected = controls.evaluate_all(
            "all => all.filter(e => !e.disabled).map(e =>"
            " (e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent).trim())"
        )
        controls.first.focus()
        names = []
        for _ in range(3 * len(expected) + 20):  # figures have stops of their own
            names.append(lab.page.evaluate(NAME))
            if names[-1] == expected[-1]:
                break
            lab.page.keyboard.press("Tab")
        assert [name for name in names if name in expected] == expected


def test_no_control_is_clipped_from_1400_pixels_to_500_and_at_twice_the_size(lab):
    lab.page.keyboard.press("Control+b")  # folds the file browser away
    for width in (1400, 900, 700, 500):
        lab.page.set_viewport_size({"width": width, "height": 4000})
        lab.page.wait_for_function(f"() => ({CLIPPED})().length === 0")
    lab.page.set_viewport_size({"width": 1400, "height": 4000})
    session = lab.page.context.new_cdp_session(lab.page)
    enlarged = {"width": 700, "height": 2000, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", enlarged)  # as 200 % in a window of 1400
    lab.page.wait_for_function("() => devicePixelRatio === 2 && innerWidth === 700")
    lab.page.wait_for_function(f"() => ({CLIPPED})().length === 0")
    session.send("Emulation.clearDeviceMetricsOverride")


def test_in_a_panel_of_its_own_it_goes_on_and_both_show_the_same(lab):
    page, angle = lab.page, explorer(lab, 0).get_by_role("slider", name="angle", exact=True)
    page.set_viewport_size({"width": 1400, "height": 1200})
    angle.scroll_into_view_if_needed()
    explorer(lab, 0).locator(".qtha-figure p").first.click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Create New View for Cell Output").click()
    beside = page.locator(".jp-LinkedOutputView .qtha-explorer").first
    expect(beside.locator("[data-drawings]").first).to_be_visible()
    slider = beside.get_by_role("slider", name="angle", exact=True)
    figure_words = beside.locator(".qtha-figure p").first
    before = figure_words.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    value = slider.get_attribute("aria-valuetext") or ""
    expect(angle).to_have_attribute("aria-valuetext", value)
    expect(figure_words).not_to_have_text(before)  # the figure is drawn after the slider has moved
    expect(explorer(lab, 0).locator(".qtha-figure p").first).to_have_text(figure_words.inner_text())
