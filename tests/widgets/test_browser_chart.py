"""figure_widget.js in a bare Chromium: lost messages, zoom, keys, a panel without points."""

import base64
import contextlib
import json

import plotly.graph_objects as go
import pytest
from playwright.sync_api import expect, sync_playwright
from support.jupyter_browser import FLAGS, chromium
from support.waiting import PATIENCE
from support.workbench_kernel import Wire, line

from qtha_lab.figures.loss_curves import empty_curves
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.table import Table
from widgets.figures.figure_widget import FigureWidget

# The model that a widget manager gives to figure_widget.js; its messages go to and come from this test.
MANAGER = """
const heard = {}, state = STATE, bytes = text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
const model = {
    get: name => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => tell('ranges', state.ranges),
    on: (name, call) => (heard[name] ??= []).push(call),
    off: (name, call) => { heard[name] = heard[name].filter(other => other !== call); },
    send: question => ask(question),
};
globalThis.deliver = messages => messages.forEach(([content, buffers]) => {
    if (content.state) Object.assign(state, content.state);
    const name = content.state ? 'change:drawing' : 'msg:custom';
    [...heard[name]].forEach(call => call(content, buffers.map(bytes)));
});
const { default: widget } = await import('data:text/javascript;base64,SCRIPT');
widget.initialize({ model });
widget.render({ model, el: document.body });
globalThis.rendered = true;
"""
DRAWN = "() => (document.querySelector('.js-plotly-plot')?.data ?? []).slice(0, 3).map(trace => trace.x.length)"
SHARE = "[data-title^='Share']"  # plotly's button that sends a figure to its servers
RANGE = "() => document.querySelector('.js-plotly-plot').layout.xaxis.range"


class Bare:
    """A page that shows a figure, and the questions that it sends."""

    def __init__(self, page, widget: FigureWidget):
        self.page, self.widget, self.questions, self.ranges = page, widget, [], {}
        page.expose_function("ask", lambda question: self.questions.append(question))
        page.expose_function("tell", lambda _, ranges: self.ranges.update(ranges or {}))
        page.set_content("<!doctype html><body></body>")
        names = ("drawing", "alt", "brush", "ranges")
        state = json.dumps({name: widget.get_state()[name] for name in names})
        script = base64.b64encode(FigureWidget._esm.encode()).decode()
        source = MANAGER.replace("STATE", state).replace("SCRIPT", script)
        page.add_script_tag(type="module", content=source)
        page.wait_for_function("() => globalThis.rendered")

    def deliver(self) -> None:
        """Let the widget answer all questions, and bring over all its messages."""
        while self.questions:
            self.widget._handle_custom_msg(self.questions.pop(0), [])
        news = [
            (
                data if "state" in data else data["content"],
                [base64.b64encode(b).decode() for b in of],
            )
            for data, of in self.widget.comm.sent
        ]
        self.widget.comm.sent.clear()
        self.page.evaluate("news => deliver(news)", news)

    def until(self, condition: str) -> None:
        """Deliver until a condition holds on the page."""
        for _ in range(int(10 * PATIENCE)):
            self.deliver()
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never true: {condition}; {self.page.evaluate(DRAWN)} drawn")


@contextlib.contextmanager
def on_a_page(widget: FigureWidget):
    """A page that shows a figure, whose console must stay silent."""
    widget.comm = Wire()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page, complaints = browser.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield Bare(page, widget)
        assert complaints == []
        browser.close()


def widget_of(*traces: go.Scatter) -> FigureWidget:
    """A figure widget of two panels with these lines."""

    def draw(_):
        figure = empty_curves("page").add_traces(traces)
        return figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1})

    return FigureWidget(Figure("curves", draw, "", "Nothing yet.", Table(("a",), ())))


@pytest.fixture
def bare():
    """A figure of one empty line on a page."""
    with on_a_page(widget_of(go.Scatter(name="lora", x=[], y=[]))) as bare:
        yield bare


@pytest.mark.browser
@pytest.mark.slow
def test_a_page_draws_all_points_whatever_was_lost_and_keeps_its_zoom(bare):
    page, widget = bare.page, bare.widget
    widget.append({0: line(0, 50)}, "Nothing yet.")
    widget.comm.sent.clear()  # lost
    widget.append({0: line(50, 60)}, "Nothing yet.")
    bare.until(f"() => String(({DRAWN})()) === '60'")
    assert page.get_by_role("figure", name="Nothing yet.").count() == 1
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
    assert bare.ranges["xaxis"] == zoomed
    widget.append({0: line(60, 900)}, "Nothing yet.")
    bare.until(f"() => ({DRAWN})()[0] === 900")
    assert page.evaluate(RANGE) == zoomed


@pytest.mark.browser
@pytest.mark.slow
def test_by_keyboard_alone_a_figure_is_reached_zoomed_moved_and_shown_whole_again(bare):
    page, widget = bare.page, bare.widget
    widget.append({0: line(0, 100)}, "Nothing yet.")
    bare.until(f"() => String(({DRAWN})()) === '100'")
    whole = page.evaluate(RANGE)

    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "figure"
    page.keyboard.press("+")
    page.wait_for_function(f"() => ({RANGE})()[0] > 10")
    low, high = page.evaluate(RANGE)
    assert high - low == pytest.approx(0.6 * (whole[1] - whole[0]))  # of the range before
    assert low + high == pytest.approx(sum(whole))  # around the middle
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => ({RANGE})()[1] > {high}")
    assert page.evaluate(RANGE)[0] == pytest.approx(low + 0.2 * (high - low))
    moved = page.evaluate(RANGE)
    widget.append({0: line(100, 200)}, "Nothing yet.")
    bare.until(f"() => ({DRAWN})()[0] === 200")
    assert page.evaluate(RANGE) == moved  # new points keep the range of a key

    page.keyboard.press("0")
    page.wait_for_function(f"() => ({RANGE})()[0] < 1 && ({RANGE})()[1] > 198")
    page.keyboard.press("Tab")  # on to the tools above the plot
    assert page.evaluate("() => !!document.activeElement.closest('.modebar')")
    expect(page.locator("p[aria-live=polite]")).to_have_text("Nothing yet.")


@pytest.mark.browser
@pytest.mark.slow
def test_a_panel_without_a_point_beside_a_legend_is_drawn_without_an_error():
    names = {"lora": {}, "qtha": {}, "lora, evaluation": {"xaxis": "x2", "yaxis": "y2"}}
    widget = widget_of(*(go.Scatter(name=name, x=[], y=[], **axes) for name, axes in names.items()))
    widget.append({0: line(0, 60), 1: line(0, 60)}, "Nothing yet.")
    with on_a_page(widget) as bare:
        bare.until(f"() => String(({DRAWN})()).startsWith('60,60')")
        widget.append({2: line(0, 5)}, "Nothing yet.")
        bare.until(f"() => String(({DRAWN})()) === '60,60,5'")
