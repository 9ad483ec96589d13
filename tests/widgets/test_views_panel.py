"""The panel of views.

What it draws of its runs, what a brush picks, how it follows a run, without a browser.
"""

import asyncio
import json
import os

import pytest
from support.run_folders import finish, run_folder, status, train, two_steps, write

from qtha_lab.experiment.run_directory import queue
from widgets.explorers.views import Views


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path))
    return tmp_path


def ended(folder, method, seed, loss):
    run = run_folder(folder, method, seed, steps=2)
    two_steps(run)
    write(run, {"kind": "eval", "step": 2, "loss": loss})
    return finish(run, eval_loss=loss, train_loss=4.8, seconds_per_step=0.1 + seed)


def test_without_runs_it_says_what_to_do_and_shows_runs_as_they_are_ticked(folder):
    views = Views()
    assert (
        views.figures["view"].alt == "Runs to draw must be at least one, got none. Tick some runs."
    )
    one, two = ended(folder, "lora(r=2)", 0, 4.0), ended(folder, "lora(r=4)", 0, 4.5)
    views.runs = (one.id,)
    assert (
        views.figures["view"].alt
        == "Evaluation loss against step: lora from 5.000 to 4.000 (1 run)."
    )
    views.runs = (one.id, two.id, "no-such-run")
    alt = views.figures["view"].alt
    assert "lora(r=2) from 5.000 to 4.000 (1 run)" in alt
    assert "lora(r=4) from 5.000 to 4.500 (1 run)" in alt
    assert views.error.text == ""


def test_what_cannot_be_drawn_is_said_in_the_place_of_the_figure(folder):
    views = Views([ended(folder, "lora", seed, 4.0).id for seed in (0, 1)])
    views.view = "parallel"
    assert (
        views.figures["view"].alt
        == "The runs must differ in a setting other than the seed, got none. There is no axis to draw."
    )
    assert views.plot.alt == views.figures["view"].alt


def test_digits_are_those_of_tables_and_a_method_is_spelled_as_it_is_called(folder):
    views = Views([ended(folder, "lora", 0, 4.4).id])
    assert "to 4.400 (1 run)" in views.figures["view"].alt
    views.view = "what_counts"
    assert views.figures["view"].alt == "lora: no setting was varied."


def test_a_brush_is_typed_as_the_runs_table_is_filtered_and_a_slip_in_it_is_named(folder):
    runs = [ended(folder, f"lora(r={r})", 0, loss) for r, loss in ((2, 4.5), (4, 4.2), (8, 4.0))]
    views = Views([run.id for run in runs], view="parallel")
    views.where.value = "eval_loss < 4.4 and r >= 4"
    assert set(views.brushed) == {runs[1].id, runs[2].id}
    assert views.clear.description == "Clear brush (2 runs)"
    views.where.value = "eval_los < 4.4"
    assert "got 'eval_los'. Did you mean 'eval_loss'?" in views.error.text
    assert set(views.brushed) == {runs[1].id, runs[2].id}
    views.clear.click()
    assert (views.where.value, views.brushed) == ("", ())


def test_a_brush_on_the_axes_picks_runs_that_the_next_view_marks(folder):
    runs = [ended(folder, f"lora(r={r})", 0, 5.0 - r / 10) for r in (2, 4, 8)]
    views = Views([run.id for run in runs])
    views.view = "parallel"
    views.plot.brush = {"boxes": [[-0.1, 0.1, 0.2, 1.05]], "ids": []}  # the axis of r, from 4 up
    assert set(views.brushed) == {runs[1].id, runs[2].id}
    views.view = "scatter"
    symbols = [t for t in views.plot.traces if t.get("customdata")]
    opacities = {t["customdata"][0]: t["marker"]["opacity"][0] for t in symbols}
    assert opacities == {runs[0].id: 0.15, runs[1].id: 1.0, runs[2].id: 1.0}
    views.plot.brush = {"boxes": [[0, 1, 4, 5]], "ids": [runs[0].id]}
    assert views.brushed == (runs[0].id,)
    views.clear.click()
    assert views.brushed == ()
    assert all("opacity" not in t["marker"] for t in views.plot.traces if t.get("customdata"))
    views.plot.brush = {"boxes": [], "ids": [runs[1].id]}
    views.runs = (runs[0].id,)
    assert views.brushed == ()


def test_of_a_run_that_goes_on_only_new_points_are_sent(folder):
    run = run_folder(folder, "lora", steps=4)
    two_steps(run)
    views = Views([run.id], y="train_loss")
    messages = []
    views.plot.send = lambda content, buffers=None: messages.append(content)
    write(run, train(3, 4.7))
    views.redraw()
    assert messages == [{"kind": "append", "parts": [[0, 2, [3.0], [4.7]]]}]
    assert [len(trace["x"]) for trace in views.plot.traces] == [3]
    views.smoothing = 0.5  # another figure: the recorded line, and the smoothed one
    assert [len(trace["x"]) for trace in views.plot.traces] == [3, 3]
    views.smoothing = 0.9
    smoothed = (0.81 * 4.9 + 0.9 * 4.8 + 4.7) / 2.71
    assert views.plot.traces[1]["y"][-1] == pytest.approx(smoothed)
    assert len(messages) == 1


def test_it_follows_a_run_until_its_end(folder):
    run = run_folder(folder, "lora", steps=2)
    write(run, status("running", 0), {"kind": "eval", "step": 0, "loss": 5.0})

    lock = queue.hold(run.files.lock)  # as its worker does

    async def work():
        views = Views([run.id])
        await asyncio.sleep(0.1)
        write(run, train(1, 4.9), {"kind": "eval", "step": 2, "loss": 4.5})
        finish(run, eval_loss=4.5)
        os.close(lock)
        while views.background.tasks:
            await asyncio.sleep(0.05)
        return views

    views = asyncio.run(work())
    assert views.error.text == ""
    assert (
        views.figures["view"].alt
        == "Evaluation loss against step: lora from 5.000 to 4.500 (1 run)."
    )
    assert list(views.frame["state"]) == ["finished"]


def test_the_code_below_a_view_draws_the_same_without_the_panel(folder):
    runs = [ended(folder, f"lora(learning_rate={rate})", 0, 4.0) for rate in (0.01, 0.1)]
    views = Views([run.id for run in runs], view="loss_by_rate")
    scope: dict = {}
    exec(views.code.replace("draw_finding('loss", "figure = draw_finding('loss"), scope)
    assert scope["figure"].table == views.figures["view"].table
    json.dumps(views.state)
