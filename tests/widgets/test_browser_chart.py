"""chart.js in a bare Chromium against chart.py.

Messages lost on the way, zoom, a kernel that has gone.
"""

import base64
import contextlib
import json

import plotly.graph_objects as go
import pytest
from playwright.sync_api import expect, sync_playwright
from support.jupyter_browser import FLAGS, chromium
from support.waiting import PATIENCE
from support.workbench_kernel import Wire, line

from qtha_lab.figures.loss_curves import curve, empty_curves
from widgets.figures.chart import Chart

# What a widget manager gives to chart.js: a model whose messages go to and come from this test.
MANAGER = """
const heard = {}, bytes = text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
const model = {
    get: name => (STATE)[name],
    on: (name, call) => (heard[name] ??= []).push(call),
    off: (name, call) => { heard[name] = heard[name].filter(other => other !== call); },
    send: question => { if (globalThis.dead) throw new Error('Cannot send'); ask(question); },
};
globalThis.deliver = messages => messages.forEach(([content, buffers]) =>
    [...heard['msg:custom']].forEach(call => call(content, buffers.map(bytes))));
const { default: { render } } = await import('data:text/javascript;base64,SCRIPT');
render({ model, el: document.body });
globalThis.rendered = true;
"""
DRAWN = "() => (document.querySelector('.js-plotly-plot')?.data ?? []).map(trace => trace.x.length)"
HELD = "() => document.querySelector('.qtha-chart').dataset.points"
SHARE = "[data-title^='Share']"  # plotly's button that sends a figure to its servers
RANGE = "() => document.querySelector('.js-plotly-plot').layout.xaxis.range"


class Bare:
    """A page that shows a chart, and the questions it has asked."""

    def __init__(self, page, chart: Chart):
        self.page, self.chart, self.questions = page, chart, []
        page.expose_function("ask", lambda question: self.questions.append(question))
        page.set_content("<!doctype html><body></body>")
        state = json.dumps({name: chart.get_state()[name] for name in ("figure", "alt", "still")})
        script = base64.b64encode(Chart._esm.encode()).decode()
        source = MANAGER.replace("STATE", state).replace("SCRIPT", script)
        page.add_script_tag(type="module", content=source)
        page.wait_for_function("() => globalThis.rendered")
        self.until("() => document.querySelector('.qtha-chart') !== null")

    def deliver(self) -> None:
        """Let the chart answer what was asked, and bring over all it has sent."""
        while self.questions:
            self.chart._handle_custom_msg(self.questions.pop(0), [])
        news = [
            (content, [base64.b64encode(buffer).decode() for buffer in buffers])
            for content, buffers in self.chart.comm.messages()
        ]
        self.page.evaluate("news => deliver(news)", news)

    def until(self, condition: str) -> None:
        """Go on delivering until something is so on the page."""
        for _ in range(int(10 * PATIENCE)):
            self.deliver()
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never true: {condition}; {self.page.evaluate(DRAWN)} drawn")


@contextlib.contextmanager
def on_a_page(chart: Chart):
    """A page that shows a chart, whose console must stay silent."""
    chart.comm = Wire()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page, complaints = browser.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield Bare(page, chart)
        assert complaints == []
        browser.close()


@pytest.fixture
def bare():
    """A chart of one empty curve on a page."""
    series = {"label": "lora", "seed": 0, "kind": "train", "steps": [], "values": []}
    figure = empty_curves("page").add_traces(curve(series))
    with on_a_page(Chart(figure, "Nothing yet.")) as bare:
        yield bare


@pytest.mark.browser
@pytest.mark.slow
def test_a_page_draws_all_points_whatever_was_lost_and_keeps_its_zoom(bare):
    page, chart = bare.page, bare.chart
    chart.extend({0: line(0, 60)})
    chart.comm.sent.clear()  # lost: the page was still loading
    bare.until(f"() => String(({DRAWN})()) === '60'")
    plot = page.get_by_role("figure", name="Nothing yet.")
    assert plot.count() == 1
    assert page.locator(".modebar-btn").count() > 0
    assert page.locator(SHARE).count() == 0

    area = page.locator(".nsewdrag").bounding_box()
    left, top = area["x"] + area["width"] / 4, area["y"] + area["height"] / 4
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + area["width"] / 2, top + area["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_function(f"() => ({RANGE})()[0] > 5")
    zoomed = page.evaluate(RANGE)

    chart.extend({0: line(60, 70)})
    chart.comm.sent.clear()  # lost
    chart.extend({0: line(70, 100_000)})
    bare.until(f"() => ({HELD})() === '100000' && ({DRAWN})()[0] > 200")
    assert page.evaluate(RANGE) == zoomed
    assert page.evaluate(DRAWN)[0] < 3_000

    page.evaluate("() => { globalThis.dead = true; }")
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate(HELD) == "100000"
    assert page.evaluate(DRAWN)[0] > 200


@pytest.mark.browser
@pytest.mark.slow
def test_by_keyboard_alone_a_chart_is_reached_zoomed_moved_and_shown_whole_again(bare):
    page, chart = bare.page, bare.chart
    chart.extend({0: line(0, 100)})
    bare.until(f"() => String(({DRAWN})()) === '100'")
    whole = page.evaluate(RANGE)

    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "figure"
    page.keyboard.press("+")
    page.wait_for_function(f"() => ({RANGE})()[0] > 10")
    low, high = page.evaluate(RANGE)
    assert high - low == pytest.approx(0.6 * (whole[1] - whole[0]))  # of what was shown
    assert low + high == pytest.approx(sum(whole))  # around the middle
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => ({RANGE})()[1] > {high}")
    assert page.evaluate(RANGE)[0] == pytest.approx(low + 0.2 * (high - low))
    moved = page.evaluate(RANGE)
    chart.extend({0: line(100, 200)})
    bare.until(f"() => ({HELD})() === '200'")
    assert page.evaluate(RANGE) == moved  # what a key did stays while points come

    page.keyboard.press("0")
    page.wait_for_function(f"() => ({RANGE})()[0] < 1 && ({RANGE})()[1] > 198")
    page.keyboard.press("Tab")  # on to the tools above the plot
    assert page.evaluate("() => !!document.activeElement.closest('.modebar')")
    expect(page.locator("p[aria-live=polite]")).to_have_text("Nothing yet.")


@pytest.mark.browser
@pytest.mark.slow
def test_a_panel_without_a_point_beside_a_legend_is_drawn_without_an_error():
    names = {"lora": {}, "qtha": {}, "lora, evaluation": {"xaxis": "x2", "yaxis": "y2"}}
    lines = [go.Scatter(name=name, x=[], y=[], **axes) for name, axes in names.items()]
    figure = empty_curves("page").add_traces(lines)
    figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1})  # it takes of the width
    chart = Chart(figure, "Nothing yet.")
    chart.extend({0: line(0, 60), 1: line(0, 60)})
    with on_a_page(chart) as bare:
        bare.until(f"() => String(({DRAWN})()).startsWith('60,60,0')")
        chart.extend({2: line(0, 5)})
        bare.until(f"() => String(({DRAWN})()) === '60,60,5'")
