"""A live plot keeps every point: its model, the messages to a page, the static picture."""

import asyncio
import gzip
import json
import xml.etree.ElementTree as ElementTree

import pytest
from support.run_folders import run_folder, status, train, write
from support.workbench_kernel import LONG, Wire

from qtha_lab.figures.machinery.page_style import PageStyle
from widgets.figures.figure_widget import drawing_of, script
from widgets.runs.curves import MOST_POINTS
from widgets.runs.live import LivePlot
from widgets.runs.live_model import LivePlotModel


def ticked(plot):
    """Return a plot after one reading of its runs."""
    asyncio.run(plot.tick())
    return plot


def record(run, first: int, last: int) -> None:
    """Write the train losses of some steps."""
    lines = [json.dumps(train(step, 5.0 - step / LONG)) for step in range(first, last)]
    with run.files.events.open("a") as file:
        file.write("\n".join(lines) + "\n")


@pytest.mark.parametrize("length", [100, LONG])
def test_a_tick_sends_the_new_points_only_whatever_the_length(tmp_path, length):
    run = run_folder(tmp_path)
    record(run, 0, length)
    plot = ticked(LivePlot([run]))
    drawn = len(plot.picture.traces[0]["x"])
    plot.picture.comm = Wire()
    record(run, length, length + 3)
    ticked(plot)
    assert plot.picture.comm.bytes() < 500
    [(message, _)] = plot.picture.comm.messages()
    (number, start, x, y), _mean = message["parts"]
    assert (number, start) == (0, drawn)
    assert x == [length, length + 1, length + 2]
    assert y == [5.0 - step / LONG for step in x]


def test_a_tick_of_many_long_runs_is_below_five_kilobytes(tmp_path):
    runs = [run_folder(tmp_path, seed=seed) for seed in range(10)]
    plot = LivePlot(runs)
    for run in runs:
        record(run, 0, LONG // 10)
        write(run, {"kind": "eval", "step": 0, "loss": 4.0})
    ticked(plot)
    plot.picture.comm = Wire()
    for run in runs:
        write(run, train(LONG, 4.0), {"kind": "eval", "step": LONG, "loss": 4.0})
    ticked(plot)
    assert plot.picture.comm.bytes() <= 5_000
    [(message, _)] = plot.picture.comm.messages()
    assert len(message["parts"]) == 3 * len(runs)  # train, its running mean, evaluation


def test_a_page_that_opens_late_gets_a_bounded_state_without_a_lost_spike(tmp_path):
    run = run_folder(tmp_path)
    plot = LivePlot([run])
    for first in range(0, 20 * MOST_POINTS, MOST_POINTS):
        record(run, first, first + MOST_POINTS)
        if first == MOST_POINTS:
            write(run, train(first + MOST_POINTS - 1, 99.0))  # measured again
        ticked(plot)
    train_line = plot.picture.get_state()["drawing"]["data"][0]
    assert len(train_line["x"]) <= 2 * MOST_POINTS
    assert (max(train_line["y"]), train_line["x"][-1]) == (99.0, 20 * MOST_POINTS - 1)


def test_a_zoomed_range_gets_finer_points(tmp_path):
    run = run_folder(tmp_path)
    record(run, 0, 50 * MOST_POINTS)
    plot = ticked(LivePlot([run]))

    def inside() -> int:
        return sum(1000 <= step <= 1500 for step in plot.picture.traces[0]["x"])

    assert inside() < 20
    plot.picture.ranges = {"xaxis": [1000, 1500]}  # as a page does
    assert inside() == 501
    assert len(plot.picture.traces[0]["x"]) < 2 * MOST_POINTS


def test_a_page_without_the_points_before_gets_the_whole_figure(tmp_path):
    run = run_folder(tmp_path)
    record(run, 0, 5)
    plot = ticked(LivePlot([run]))
    plot.picture.comm = Wire()
    plot.picture._handle_custom_msg({"kind": "whole"}, [])
    [(message, _)] = plot.picture.comm.sent
    assert message["state"]["drawing"]["data"][0]["x"] == [0, 1, 2, 3, 4]


def test_a_resumed_run_goes_back_to_its_checkpoint_and_repeated_steps_replace(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), *(train(step, 5.0 - step) for step in range(1, 8)))
    plot = ticked(LivePlot([run]))
    write(run, status("running", 5), train(6, 9.0))
    ticked(plot)
    assert plot.picture.traces[0]["x"] == [1, 2, 3, 4, 5, 6]
    assert plot.picture.traces[0]["y"][-2:] == [0.0, 9.0]
    write(run, train(3, 1.0))
    ticked(plot)
    assert plot.picture.traces[0]["x"] == [1, 2, 3]


def test_plotly_is_sent_on_request_and_stored_in_no_state(tmp_path):
    plot = LivePlot([run_folder(tmp_path)])
    plot.picture.comm = Wire()
    plot.picture._handle_custom_msg({"kind": "script"}, [])
    [(message, [packed])] = plot.picture.comm.messages()
    assert message == {"kind": "script"}
    assert packed == script()
    assert b"window.Plotly" in gzip.decompress(packed)
    assert len(json.dumps(plot.picture.get_state()["drawing"])) < 20_000


def test_the_model_needs_no_page_and_reads_along_other_axes(tmp_path):
    run = run_folder(tmp_path)
    write(
        run, status("running", 0), *(train(step, 5.0 - step) | {"seconds": 2.0} for step in (1, 2))
    )
    model = ticked(LivePlotModel([run]))
    assert list(model.curves[run.id].curves["train"].x) == [1, 2]
    model.along = "seconds"
    assert list(model.curves[run.id].curves["train"].x) == [2.0, 4.0]
    model.log_y = True
    drawing = drawing_of(model.figures["loss_curves"])
    assert drawing["layout"]["yaxis"]["type"] == "log"
    assert drawing["layout"]["xaxis"]["title"]["text"] == "seconds of training"


def test_before_the_first_point_the_axes_show_the_planned_steps_and_no_losses(tmp_path):
    run = run_folder(tmp_path, steps=40)
    plot = LivePlot([run])
    layout = plot.picture.drawing["layout"]
    assert layout["xaxis"]["range"] == [0, 40]
    assert layout["yaxis"]["showticklabels"] is False
    write(run, train(1, 5.0))
    layout = ticked(plot).picture.drawing["layout"]
    assert "range" not in layout["xaxis"]
    assert "showticklabels" not in layout["yaxis"]


def test_twelve_of_many_runs_are_drawn_until_a_user_chooses(tmp_path):
    runs = [run_folder(tmp_path, seed=seed) for seed in range(15)]
    for run in runs:
        write(run, {"kind": "eval", "step": 0, "loss": 5.0})
    plot = ticked(LivePlot(runs))
    assert plot.hidden == tuple(run.id for run in runs[12:])
    seen = [trace for trace in plot.picture.traces if trace.get("visible") is not False]
    assert len(seen) == 3 * 12
    assert plot.picture.alt.endswith("12 of 15 runs are drawn.")
    plot.hidden = (runs[0].id,)
    assert "visible" not in plot.picture.traces[-1]
    assert plot.picture.alt.endswith("14 of 15 runs are drawn.")
    plot.show(runs[:3])
    assert plot.hidden == (runs[0].id,)


def test_the_saved_figure_has_the_lines_and_ranges_that_are_seen(tmp_path):
    runs = [run_folder(tmp_path, "qtha(r=4)", seed=seed) for seed in (0, 1)]
    for run in runs:
        write(run, *(train(step, 5 - step / 10) for step in range(1, 9)))
        write(
            run, {"kind": "eval", "step": 0, "loss": 5.0}, {"kind": "eval", "step": 8, "loss": 4.0}
        )
    plot = ticked(LivePlot(runs))
    plot.log_y = True
    seen = plot.picture.drawing
    saved = plot.figures["loss_curves"].drawing(PageStyle(target="one-column"))
    parts = ("x", "y", "name", "showlegend", "xaxis", "yaxis")
    for one, other in zip(seen["data"], saved["data"], strict=True):
        assert [one.get(part) for part in parts] == [other.get(part) for part in parts]
        assert one["line"]["color"] == other["line"]["color"]
    for axis in ("xaxis", "yaxis", "xaxis2", "yaxis2"):
        for part in ("type", "matches", "range"):
            assert seen["layout"][axis].get(part) == saved["layout"][axis].get(part)


def test_without_scripts_a_picture_and_the_finding_are_shown(tmp_path):
    run = run_folder(tmp_path, method="lora(r=2)")
    write(run, status("running", 0), *(train(step, 5 - step / 10) for step in range(1, 9)))
    write(run, {"kind": "eval", "step": 0, "loss": 5.0}, {"kind": "eval", "step": 8, "loss": 4.0})
    bundle = ticked(LivePlot([run])).still()
    picture = ElementTree.fromstring(bundle["image/svg+xml"])
    name = "{http://www.w3.org/2000/svg}"
    assert picture.find(f"{name}title").text == bundle["text/plain"]
    assert bundle["text/plain"].startswith("Evaluation loss: lora falls from 5.000 to 4.000")
    lines = [line.get("points").split() for line in picture.iter(f"{name}polyline")]
    assert [len(points) for points in lines] == [8, 2, 8]
    words = [text.text for text in picture.iter(f"{name}text")]
    assert {"lora", "step", "train loss (nats)", "evaluation loss (nats)"} <= set(words)
