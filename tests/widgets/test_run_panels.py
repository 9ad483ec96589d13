"""Rows and curves of runs follow what their directories say."""

import asyncio

from support.run_folders import run_folder, status, train, write
from support.waiting import PATIENCE

from qtha_lab.experiment.run_directory import exit_status
from qtha_lab.experiment.run_directory.events import history
from qtha_lab.figures.loss_curves import from_events
from qtha_lab.runs.run import Status
from widgets.kit import boxes
from widgets.kit.loop import Background
from widgets.runs.live import LivePlot
from widgets.runs.run_list import RunList
from widgets.workbench.watch import Watch


def test_live_curves_grow_by_what_is_new(tmp_path):
    run = run_folder(tmp_path)
    plot = LivePlot([run])
    write(run, status("running", 0), train(1, 5.0), {"kind": "eval", "step": 0, "loss": 6.0})
    asyncio.run(plot.tick())
    assert plot.picture.traces[0]["x"] == [1]
    offset = plot.offsets[run.id]
    write(run, train(2, 4.5))
    asyncio.run(plot.tick())
    assert plot.offsets[run.id] > offset
    assert plot.picture.traces[0]["y"] == [5.0, 4.5]
    assert "lora starts at 6.000" in plot.picture.alt


def test_live_curves_of_a_resumed_run_are_its_history(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), *(train(step, 5.0 - step / 10) for step in range(1, 8)))
    write(run, status("stopped", 7), status("running", 5), train(6, 9.0))
    plot = LivePlot([run])
    asyncio.run(plot.tick())
    series = from_events("lora", 0, history(run.events()[0]))[0]
    assert plot.picture.traces[0]["x"] == series["steps"] == [1, 2, 3, 4, 5, 6]
    assert plot.picture.traces[0]["y"] == series["values"]


def test_following_ends_with_the_runs_and_survives_a_torn_line(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), train(1, 5.0), status("finished", 1))
    with run.files.events.open("a") as file:
        file.write('{"kind": "train", "st')
    plot = LivePlot([run])
    asyncio.run(asyncio.wait_for(plot.follow(), timeout=PATIENCE))
    assert plot.picture.traces[0]["x"] == [1]


def test_rows_tell_the_state_and_enable_what_can_be_done(tmp_path):
    run = run_folder(tmp_path)
    clicks = []
    rows = RunList(clicks.append, clicks.append, clicks.append)
    rows.show([run])
    row = rows.rows[run.id]
    rows.update({run.id: Status("running", 30, 100, "", 75.0)})
    assert row.state.value == "running · step 30 of 100 · 1 min 15 s left"
    assert (row.bar.value, row.offers("Stop"), row.offers("Resume")) == (30, True, False)
    rows.update({run.id: Status("stopped", 30, 100)})
    assert (row.offers("Stop"), row.offers("Resume")) == (False, True)
    rows.update({run.id: Status("diverged", 30, 100, "loss is <nan>")})
    assert "&lt;nan&gt;" in row.state.value
    assert row.offers("Resume")  # from the last checkpoint that is whole
    row.buttons["Resume"].click()
    assert clicks == [[run]]


def test_a_row_says_where_a_run_stopped_once(tmp_path):
    run = run_folder(tmp_path)
    rows = RunList(print, print, print)
    rows.show([run])
    rows.update({run.id: Status("stopped", 20, 100, "stopped at step 20 of 100")})
    assert rows.rows[run.id].state.value == "stopped at step 20 of 100"


def test_new_states_and_quarters_of_a_run_are_read_aloud_and_no_more(tmp_path):
    run = run_folder(tmp_path)
    rows, sentences = RunList(print, print, print), []
    rows.announce = sentences.append
    rows.show([run])
    for state, step in [
        ("running", 1),
        ("running", 2),
        ("running", 25),
        ("running", 26),
        ("finished", 100),
    ]:
        rows.update({run.id: Status(state, step, 100)})
    assert sentences == [
        "lora, seed 0: running · step 25 of 100.",
        "lora, seed 0: finished · step 100 of 100.",
    ]


def test_a_run_that_went_wrong_offers_its_log_in_the_place_of_stop_and_a_click_shows_it(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), train(1, 5.0))
    run.files.log.write_text(f"{exit_status.BEGIN}\nMemoryError: no room\n")
    watch = Watch(Background(print))
    watch.show([run])
    row = watch.list.rows[run.id]
    watch.list.update({run.id: Status("running", 1, 9)})
    assert not row.offers("Log")
    assert not boxes.is_shown(watch.log)
    watch.list.update({run.id: Status("dead", 1, 9, "the worker ended")})
    assert (row.offers("Log"), row.offers("Stop")) == (True, False)
    row.buttons["Log"].click()
    assert watch.log.title == f"Log of {run.id}"
    assert watch.log.unfolded
    assert "MemoryError: no room" in watch.log_view.output.value
    assert str(run.files.log) in watch.log_view.head.value
    watch.show([])
    assert not boxes.is_shown(watch.log)


def test_the_curves_as_they_are_now_are_a_figure_that_can_be_saved(tmp_path):
    run = run_folder(tmp_path)
    plot = LivePlot([run])
    assert plot.figures == {}
    write(run, status("running", 0), train(1, 5.0), {"kind": "eval", "step": 0, "loss": 6.0})
    asyncio.run(plot.tick())
    figure = plot.figures["loss_curves"]
    write(run, train(2, 4.5))
    asyncio.run(plot.tick())
    assert [row[-1] for row in figure.table.rows] == [5.0, 6.0]  # as it was when it was asked for
    path = figure.export(tmp_path / "curves.csv")
    assert path.read_text().splitlines()[1] == "lora,0,train,1.0,5.0"
    assert len(plot.figures["loss_curves"].table.rows) == 3
