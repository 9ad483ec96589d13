"""The pane Compare: finding, next steps and one figure, in the names of rows and legends."""

import asyncio

import ipywidgets as ipw
import pytest
from support.run_folders import finish, run_folder, status, two_steps, write

from widgets.kit import boxes
from widgets.runs.live import LivePlot
from widgets.runs.run_list import RunList
from widgets.workbench.panes import Panes
from widgets.workbench.verdict import VerdictPane

WHOLE = "qtha(r=4,waist=8)"
CONTROL = "qtha(r=4,waist=8,use_circuit=false)"


@pytest.fixture
def finished(tmp_path):
    """Write finished runs of methods over seeds; the first method has the lowest loss."""

    def write_runs(*methods, seeds=3, **training):
        runs = []
        for seed in range(seeds):
            for place, method in enumerate(methods):
                run = run_folder(tmp_path / "runs", method, seed, "one", **{"steps": 2} | training)
                two_steps(run)
                loss = 4.1 + place / 10 + seed / 100
                write(run, {"kind": "eval", "step": 2, "loss": loss})
                runs.append(finish(run, eval_loss=loss, test_loss=loss, train_loss=loss))
        return runs

    return write_runs


def pane_of(runs):
    """Return the pane Compare of runs."""
    pane = VerdictPane(print)
    pane.renew_now(runs)
    return pane


def opened(pane, runs):
    """Return the tabs of the page with Compare opened."""

    async def open_compare():
        panes = Panes(ipw.VBox(), pane, pytest.fail)
        panes.ticked = tuple(run.id for run in runs)
        panes.select("Compare")
        return panes

    return asyncio.run(open_compare())


def test_compare_shows_one_figure_the_difference_or_else_the_curves(finished):
    runs = finished("lora(r=2)", WHOLE)
    claimed = pane_of(runs)
    panes = opened(claimed, runs)
    assert boxes.is_shown(claimed.forest)
    assert not panes.views.unfolded
    assert panes.opened == {}
    claimed.renew_now(runs[:2])  # one seed: nothing is claimed
    assert not boxes.is_shown(claimed.forest)
    assert panes.views.unfolded
    assert panes.opened["Compare"].runs == tuple(run.id for run in runs)
    claimed.renew_now(runs)
    assert boxes.is_shown(claimed.forest)
    assert not panes.views.unfolded
    panes.show_views()
    claimed.renew_now(runs[:2])
    claimed.renew_now(runs)
    assert panes.views.unfolded  # on demand they stay


def test_the_figure_of_compare_follows_the_ticked_runs(finished):
    runs = finished("lora(r=2)", WHOLE, CONTROL)
    pane = pane_of(runs)
    before = pane.picture.alt
    pane.renew_now([run for run in runs if run.experiment.method.label != CONTROL])
    assert pane.picture.alt != before
    assert pane.picture.alt == pane.figures["forest"].alt


def test_the_key_of_a_figure_and_the_button_show_a_tab_alone(finished):
    runs = finished("lora(r=2)", WHOLE)
    panes = opened(pane_of(runs), runs)
    panes.alone_button.value = True
    assert panes.alone
    plot = LivePlot(runs, following=False)
    plot.picture.alone = True  # as the page does at a key
    assert plot.picture.get_state()["alone"]


def test_a_variant_has_one_name_and_one_symbol_in_table_rows_legend_and_figure(finished):
    runs = finished("lora(r=2)", WHOLE, CONTROL)
    pane = pane_of(runs)
    names = [variant.name for variant in pane.known.values()]
    assert len(set(names)) == 3
    assert "lora" in names
    rows = RunList(print, print, print)
    rows.show(runs)
    plot = LivePlot(runs, following=False)
    asyncio.run(plot.tick())
    legend = {trace["name"].replace("<br>", "") for trace in plot.picture.traces}
    assert legend == set(names)
    for run in runs:
        variant = pane.known[run.experiment.method.label]
        assert variant.title_html in pane.results.value
        assert variant.title_html in rows.rows[run.id].children[0].value
        assert plot.colors[run.id] == [variant.glyph, variant.style["color"]]
        assert run.experiment.method.label in variant.title_html  # all options in the tooltip
    assert all(name in pane.picture.alt for name in names)


def test_a_stopped_run_is_the_first_sentence_and_its_resumption_the_first_step(finished, tmp_path):
    runs = finished("lora(r=2)", WHOLE, seeds=1)
    stopped = run_folder(tmp_path / "runs", WHOLE, 1, "one", steps=2)
    two_steps(stopped)
    write(stopped, status("stopped", 1))
    pane = pane_of([*runs, stopped])
    assert pane.sentence == "1 of 2 runs of qtha was stopped (seed 1)."
    assert pane.sentence in pane.sentences.value.partition("</p>")[0]
    assert pane.next_steps[0].resumed == (stopped,)
    assert pane.steps.children[0].description.startswith("resume")


def test_unequal_steps_are_the_first_sentence_and_the_repair_the_first_step(finished):
    runs = [*finished("lora(r=2)", seeds=2), *finished(WHOLE, seeds=1, steps=4)]
    pane = pane_of(runs)
    assert "different training settings are not compared" in pane.sentence
    assert "steps=4" in pane.sentence
    first = pane.next_steps[0]
    assert [method.name for method in first.comparison.methods] == ["qtha"]
    assert first.comparison.training.steps == 2


def test_a_hundred_runs_draw_twelve_lines_and_are_tabulated_as_groups(finished):
    runs = finished("lora(r=2)", WHOLE, seeds=50)
    plot = LivePlot(runs, following=False)
    asyncio.run(plot.tick())
    seen = [t for t in plot.picture.traces if t["meta"]["kind"] == "eval"]
    assert sum(trace.get("visible") is not False for trace in seen) == 12
    assert plot.picture.alt.endswith("12 of 100 runs are drawn.")
    pane = pane_of(runs)
    assert [row["seeds"] for row in pane.rows] == ["50", "50"]
