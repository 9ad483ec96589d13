"""A chart keeps every point.

What goes over the wire, what a page asks for, what stands where no script runs.
"""

import asyncio
import gzip
import json
import random
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from support.run_folders import run_folder, status, train, write
from support.workbench_kernel import LONG, Wire, line

from qtha_lab.figures.loss_curves import curve, empty_curves
from widgets.figures.chart import MOST_POINTS, MOST_POINTS_OF_ALL, Chart
from widgets.figures.plotly_js import script
from widgets.runs.live import LivePlot


class Page:
    """Run chart.js on messages: it appends points, and asks for missing ones."""

    def __init__(self, chart: Chart):
        self.chart, self.version, self.questions = chart, None, 0
        self.begin(chart.figure)

    def begin(self, figure: dict) -> None:
        self.version = figure["version"]
        self.curves = [[np.empty(0), np.empty(0), 0] for _ in figure["data"]]

    def ask(self) -> None:
        self.questions += 1
        counts = [part[2] for part in self.curves]
        question = {"kind": "points", "page": "p", "version": self.version, "counts": counts}
        self.chart._handle_custom_msg(question, [])

    def hear(self, message: dict, buffers: list) -> bool:
        """Take in a message; whether nothing is missing then."""
        if "figure" in message:
            self.begin(message["figure"])
        if message["version"] != self.version:
            return False
        numbers = np.frombuffer(buffers[0])
        for number, start, end, count in message["parts"]:
            (x, y), numbers = numbers[: 2 * count].reshape(2, -1), numbers[2 * count :]
            if start == self.curves[number][2]:
                known = self.curves[number]
                joined = [np.concatenate([known[0], x]), np.concatenate([known[1], y])]
                self.curves[number] = [*joined, end]
        return [part[2] for part in self.curves] == message["counts"]

    def listen(self, wire: Wire) -> None:
        """Hear all that was sent, and ask until nothing is missing."""
        while messages := wire.messages():
            if not [self.hear(*message) for message in messages][-1]:
                self.ask()


@pytest.fixture
def chart() -> Chart:
    """Two empty curves and the wire to a page."""
    series = [
        {"label": label, "seed": 0, "kind": "train", "steps": [], "values": []}
        for label in ("qtha", "lora")
    ]
    chart = Chart(empty_curves("page").add_traces([curve(s) for s in series]))
    chart.comm = Wire()
    return chart


def test_a_tick_sends_the_new_points_only_whatever_the_length(chart):
    sizes = []
    for length in (100, LONG):
        chart.extend({0: line(len(chart.curves[0]), length)})
        chart.comm.sent.clear()
        chart.extend({0: line(length, length + 3)})
        sizes.append(chart.comm.bytes())
        [(message, [buffer])] = chart.comm.messages()
        assert message["parts"] == [[0, length, length + 3, 3]]
        x, y = np.frombuffer(buffer).reshape(2, -1)
        assert list(zip(x, y, strict=True)) == line(length, length + 3)
    assert max(sizes) < 500


def test_a_tick_of_many_long_runs_is_below_five_kilobytes(tmp_path):
    runs = [run_folder(tmp_path, seed=seed) for seed in range(10)]
    plot = LivePlot(runs)
    for run in runs:
        lines = [json.dumps(train(step, 5.0)) for step in range(LONG // 10)]
        run.files.events.write_text("\n".join(lines) + "\n")
    asyncio.run(plot.tick())
    plot.chart.comm = Wire()
    for run in runs:
        write(run, train(LONG, 4.0), {"kind": "eval", "step": LONG, "loss": 4.0})
    asyncio.run(plot.tick())
    assert plot.chart.comm.bytes() <= 5_000
    [(message, _)] = plot.chart.comm.messages()
    assert len(message["parts"]) == 3 * len(runs)  # train, its running mean, evaluation


def test_a_lost_message_is_asked_for_again_and_every_point_arrives(chart):
    page, lost = Page(chart), random.Random(0)
    for step in range(60):
        chart.extend({0: line(step, step + 1), 1: line(step, step + 1)})
        if lost.random() < 0.4:
            chart.comm.sent.clear()
        page.listen(chart.comm)
    page.ask()
    page.listen(chart.comm)
    for drawn in page.curves:
        assert list(zip(*drawn[:2], strict=True)) == line(0, 60)


def test_a_page_that_opens_late_gets_all_in_messages_of_bounded_size(chart):
    spike = [(LONG / 2 + 0.5, 99.0)]
    chart.extend({0: line(0, LONG // 2) + spike + line(LONG // 2 + 1, LONG), 1: line(0, 60)})
    chart.comm.sent.clear()
    page = Page(chart)
    page.ask()
    [(message, buffers)] = chart.comm.messages()
    assert sum(map(len, buffers)) <= 16 * (MOST_POINTS + 2 + 60)
    assert page.hear(message, buffers)
    x, y, end = page.curves[0]
    assert (end, x[-1], y.max()) == (LONG, LONG - 1, 99.0)
    assert list(zip(*page.curves[1][:2], strict=True)) == line(0, 60)


def test_more_curves_than_one_message_takes_come_in_several():
    many = 3 * MOST_POINTS_OF_ALL // MOST_POINTS
    series = {"label": "lora", "seed": 0, "kind": "train", "steps": [], "values": []}
    figure = empty_curves().add_traces([curve(series) for _ in range(many)])
    chart = Chart(figure)
    chart.extend({curve: line(0, 3 * MOST_POINTS) for curve in range(many)})
    chart.comm = Wire()
    page = Page(chart)
    page.ask()
    page.listen(chart.comm)
    assert [curve[2] for curve in page.curves] == many * [3 * MOST_POINTS]
    assert 2 < page.questions < 6


def test_points_taken_back_are_taken_back_on_a_page_that_missed_it(chart):
    page = Page(chart)
    chart.extend({0: line(1, 8)})
    page.listen(chart.comm)
    chart.cut([0, 1], after=5)
    chart.extend({0: [(6, 9.0), (7, 9.5)]})
    chart.comm.sent.clear()  # both messages are lost, and the counts are the same as before
    page.ask()
    page.listen(chart.comm)
    assert page.curves[0][1].tolist() == [y for _, y in line(1, 6)] + [9.0, 9.5]


def test_a_step_measured_again_replaces_what_came_from_there_on(chart):
    chart.extend({0: line(1, 8)})
    chart.extend({0: [(5, 1.0)]})
    assert list(chart.curves[0].x) == [1, 2, 3, 4, 5]
    assert chart.curves[0].y[-1] == 1.0


def test_plotly_comes_on_request_and_is_in_no_state(chart):
    chart._handle_custom_msg({"kind": "script"}, [])
    [(message, [packed])] = chart.comm.messages()
    assert message == {"kind": "script"}
    assert packed == script()
    assert b"window.Plotly" in gzip.decompress(packed)
    chart.extend({0: line(0, LONG)})
    chart.draw_still()
    assert len(json.dumps({k: v for k, v in chart.get_state().items() if k != "layout"})) < 60_000


def test_where_no_script_runs_stands_a_picture_and_the_finding(tmp_path):
    run = run_folder(tmp_path, method="lora(r=2)")
    write(run, status("running", 0), *(train(step, 5 - step / 10) for step in range(1, 9)))
    write(run, {"kind": "eval", "step": 0, "loss": 5.0}, {"kind": "eval", "step": 8, "loss": 4.0})
    plot = LivePlot([run])
    asyncio.run(plot.tick())
    bundle = plot.still()
    picture = ElementTree.fromstring(bundle["image/svg+xml"])
    name = "{http://www.w3.org/2000/svg}"
    assert picture.find(f"{name}title").text == bundle["text/plain"]
    assert bundle["text/plain"].startswith("Evaluation loss: lora(r=2) falls from 5.000 to 4.000")
    lines = [line.get("points").split() for line in picture.iter(f"{name}polyline")]
    assert [len(points) for points in lines] == [8, 2, 8]
    words = [text.text for text in picture.iter(f"{name}text")]
    assert {"lora", "step", "train loss (nats)", "evaluation loss (nats)"} <= set(words)
