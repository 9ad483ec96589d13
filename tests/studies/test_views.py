"""Views of runs from their directories alone, and what they compute, against answers by enumeration
and by hand.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import refused
from support.run_folders import finish, run_folder, status, two_steps, write

from qtha_lab.core.metrics import MEASURES
from qtha_lab.core.paths import data_dir
from qtha_lab.figures.loss_against_rate import loss_against_rate
from qtha_lab.figures.parallel_coordinates import parallel_coordinates
from qtha_lab.figures.parallel_scales import inside, scale
from qtha_lab.figures.run_history import run_history, smooth
from qtha_lab.figures.run_scatter import run_scatter, unbeaten
from qtha_lab.runs.table.varied import filled, short_labels, varied
from qtha_lab.studies.comparison.findings import PAGE, draw_finding, figures
from qtha_lab.studies.comparison.found_runs import find_runs
from qtha_lab.studies.comparison.over_training import history_of
from qtha_lab.studies.comparison.trial_statistics import (
    LEAST_TRIALS,
    Trial,
    budget,
    enough,
    importance,
    trials_of,
)

RATES = (0.001, 0.01, 0.1)
# by method, then by rate: what two seeds came to; None diverged
LOSSES = {
    "lora": {0.001: (4.5, 4.7), 0.01: (4.1, 4.3), 0.1: (4.2, 4.2)},
    "qtha": {0.001: (4.6, 4.6), 0.01: (4.3, 4.5), 0.1: (4.4, None)},
}


@pytest.fixture
def sweep(tmp_path):
    for method, by_rate in LOSSES.items():
        for rate, losses in by_rate.items():
            for seed, loss in enumerate(losses):
                run = run_folder(tmp_path, f"{method}(learning_rate={rate})", seed, steps=2)
                two_steps(run)
                write(run, {"kind": "eval", "step": 2, "loss": loss})
                if loss is None:
                    finish(run, "diverged", eval_loss=None)
                else:
                    finish(run, eval_loss=loss, train_loss=4.8)
    return tmp_path


# ---- reading
# --------------------------------------------------------------------------------------------


def test_runs_are_named_as_short_as_tells_them_apart(sweep):
    rows = filled(find_runs([sweep]))
    assert len(rows) == 12
    assert varied(rows) == ["method", "learning_rate"]
    assert set(short_labels(rows).values()) == {
        f"{method}(learning_rate={rate:g})" for method in LOSSES for rate in RATES
    }
    assert set(short_labels(rows, ["learning_rate"]).values()) == {"lora", "qtha"}


def test_an_option_that_only_some_chose_has_the_default_of_its_method(tmp_path):
    runs = [finish(run_folder(tmp_path, method), eval_loss=4.0) for method in ("lora", "lora(r=2)")]
    rows = filled(runs)
    assert sorted(rows["r"]) == [2, 8]
    assert set(short_labels(rows).values()) == {"lora(r=2)", "lora(r=8)"}


def test_a_run_that_still_goes_has_settings_and_no_measures(tmp_path):
    run = run_folder(tmp_path, "lora(learning_rate=0.02)", seed=3)
    write(run, status("running", 0))
    (row,) = filled([run]).to_dict("records")
    assert (row["learning_rate"], row["seed"]) == (0.02, 3)
    assert not any(row[name] for name in MEASURES)


# ---- loss against learning rate
# ---------------------------------------------------------------------------


def test_loss_against_rate_is_the_mean_over_seeds_and_marks_the_best_that_all_share(sweep):
    figure = draw_finding("loss_by_rate", [sweep])
    rows = {(row[0], row[1]): row[2:] for row in figure.table.rows}
    assert rows["lora", 0.01] == (pytest.approx(4.2), 4.1, 4.3, 2, 0)
    assert rows["lora", 0.1] == (pytest.approx(4.2), 4.2, 4.2, 2, 0)
    assert rows["qtha", 0.1] == (None, None, None, 2, 1)
    assert "qtha 4.400 at 0.01 (2 seeds)" in figure.alt
    assert "The best for all together is 0.01." in figure.alt
    drawn = figure.plotly
    assert drawn.layout.shapes[0].x0 == 0.01
    crosses = [
        trace
        for trace in drawn.data
        if trace.marker.symbol == "x" and "diverged" in trace.hovertemplate
    ]
    assert [list(trace.x) for trace in crosses] == [[0.1]]


def test_a_best_at_the_edge_of_what_was_tried_is_said_to_be_there():
    ends = [
        {"label": "lora", "seed": 0, "learning_rate": rate, "value": value}
        for rate, value in ((0.01, 4.0), (0.1, 3.0))
    ]
    assert loss_against_rate(ends).alt.endswith("At the edge of what was tried: lora.")


def test_a_ratio_of_rates_is_a_setting_by_its_name_as_an_axis(tmp_path):
    for ratios in ({}, {"B": 8}):
        finish(run_folder(tmp_path, "lora", rate_ratios=ratios), eval_loss=4.0)
    rows = filled(find_runs([tmp_path]))
    assert varied(rows) == ["rate_ratios.B"]
    assert sorted(rows["rate_ratios.B"]) == [1, 8]


# ---- curves
# -----------------------------------------------------------------------------------------------


def test_a_history_runs_along_steps_seconds_and_tokens():
    events = [
        {"kind": "eval", "step": 0, "loss": 5.0},
        {"kind": "train", "step": 1, "loss": 4.9, "seconds": 0.25, "tokens": 60},
        {"kind": "train", "step": 2, "loss": 4.8, "seconds": 0.5, "tokens": 100},
        {"kind": "eval", "step": 2, "loss": 4.5},
    ]
    assert history_of(events, "step", "train_loss") == ([1, 2], [4.9, 4.8])
    assert history_of(events, "seconds", "eval_loss") == ([0.0, 0.75], [5.0, 4.5])
    assert history_of(events, "tokens", "eval_loss") == ([0.0, 100.0], [5.0, 4.5])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0, 0.99))
def test_smoothing_is_the_weighted_mean_of_what_came_before(values, weight):
    smoothed = smooth(values, weight)
    for n in range(1, len(values) + 1):
        weights = weight ** np.arange(n)[::-1]
        assert smoothed[n - 1] == pytest.approx(np.average(values[:n], weights=weights), abs=1e-9)


def test_smoothing_leaves_the_recorded_line_faint_behind_the_other():
    line = {"label": "lora", "seed": 0, "x": [1, 2, 3], "y": [3.0, 1.0, 2.0]}
    raw, smoothed = run_history([line], smoothing=0.5).plotly.data
    assert list(raw.y) == line["y"]
    assert raw.line.color.startswith("rgba(")
    assert smoothed.line.color.startswith("#")
    with refused("smoothing", "1.0"):
        run_history([line], smoothing=1.0)


def test_seeds_are_a_band_where_all_were_recorded():
    lines = [
        {"label": "lora", "seed": seed, "x": range(1, 4 + seed), "y": [seed + 1.0] * (3 + seed)}
        for seed in (0, 1)
    ]
    low, high, mean = run_history(lines).plotly.data
    assert [list(trace.x) for trace in (low, high, mean)] == [[1, 2, 3]] * 3
    assert (low.y[0], high.y[0], mean.y[0]) == (1.0, 2.0, 1.5)
    assert len(run_history(lines, bands=False).plotly.data) == 2


# ---- the best of so many trials
# ---------------------------------------------------------------------------

VALUES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=5)


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_the_best_of_k_trials_is_that_of_all_draws_enumerated(values, lower):
    worked_out = budget(values, lower)
    best = min if lower else max
    for k in range(1, len(values) + 1):
        draws = sorted(best(draw) for draw in itertools.product(values, repeat=k))
        assert worked_out.expected[k - 1] == pytest.approx(np.mean(draws))
        inside_band = [worked_out.low[k - 1] <= value <= worked_out.high[k - 1] for value in draws]
        assert np.mean(inside_band) >= 0.8 - 1e-9
        assert worked_out.so_far[k - 1] == best(values[:k])


def test_a_trial_that_diverged_counts_as_the_worst_that_did_not():
    assert budget([3.0, math.inf, 1.0]).expected[0] == pytest.approx((3 + 3 + 1) / 3)
    assert budget([math.inf]) is None


def test_trials_are_points_with_the_mean_over_their_seeds(sweep):
    rows = filled(find_runs([sweep]))
    trials = trials_of(rows[rows["method"] == "qtha"], "eval_loss")
    assert sorted(trial.value for trial in trials) == pytest.approx([4.4, 4.6, math.inf])
    assert all(len(trial.runs) == 2 for trial in trials)
    figure = draw_finding("best_of", [sweep])
    expected = {(row[0], row[1]): row[2] for row in figure.table.rows}
    assert expected["lora", 1] == pytest.approx((4.6 + 4.2 + 4.2) / 3)


# ---- importance
# ---------------------------------------------------------------------------------------------


def trial_grid(count):
    random = np.random.default_rng(1)
    points = [
        {
            "rate": float(10 ** random.uniform(-4, -1)),
            "r": int(random.integers(1, 9)),
            "kind": str(k % 2),
        }
        for k in range(count)
    ]
    return [
        Trial(p, abs(math.log10(p["rate"]) + 2.5) + 0.02 * p["r"], (str(k),))
        for k, p in enumerate(points)
    ]


@pytest.mark.slow
def test_the_setting_that_the_result_depends_on_is_the_important_one():
    shares = importance(trial_grid(30), ["rate", "r", "kind"])
    assert next(iter(shares)) == "rate"
    assert shares["rate"].low > 0.5 > shares["r"].high
    assert all(share.low <= share.share <= share.high for share in shares.values())


def test_too_few_trials_are_said_to_be_too_few(sweep):
    with pytest.raises(
        ValueError, match=rf"must rest on at least {LEAST_TRIALS} finished trials, got 11"
    ):
        importance(trial_grid(11), ["rate"])
    assert enough(12, 3) == 3
    with refused(
        "lora: The importance of 1 setting", "The importance of 1 setting must rest on at least 12"
    ):
        draw_finding("what_counts", [sweep])


# ---- scatter and parallel coordinates
# -------------------------------------------------------------------------


def runs_at(points):
    return [
        {"id": str(k), "label": "lora", "values": {"trainable_parameters": x, "bleu4": y, "r": k}}
        for k, (x, y) in enumerate(points)
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_front_is_that_of_comparing_every_pair(points):
    # few parameters and much BLEU are good
    def beats(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    expected = {str(k) for k, p in enumerate(points) if not any(beats(q, p) for q in points)}
    front = unbeaten(runs_at(points), "trainable_parameters", "bleu4")
    assert {run["id"] for run in front} == expected
    assert [run["values"]["trainable_parameters"] for run in front] == sorted(
        points[int(i)][0] for i in expected
    )


def test_a_setting_has_no_better_end_and_so_no_front():
    runs = runs_at([(1, 2), (3, 4)])
    assert unbeaten(runs, "r", "bleu4") == []
    assert "no measure that has a better end" in run_scatter(runs, "r", "bleu4").caption


def test_what_is_brushed_is_drawn_strong_and_the_rest_pale():
    runs = runs_at([(1, 2), (3, 4), (5, 1)])
    symbols = run_scatter(runs, y="bleu4", brushed=["1"]).plotly.data[1]
    assert list(symbols.marker.opacity) == [0.15, 1.0, 0.15]
    figure = parallel_coordinates(runs, ["r"], "bleu4", brushed=["1"])
    strong = [trace for trace in figure.plotly.data if trace.opacity is None and len(trace.x)]
    assert [trace.customdata[0] for trace in strong] == ["1"]
    assert "of 1 brushed ones" in figure.alt


def test_a_brush_picks_the_runs_that_go_through_every_axis_it_stands_on():
    runs = runs_at([(1, 2), (3, 4), (5, 1)])
    scales = {n: scale(n, [run["values"][n] for run in runs]) for n in ("r", "bleu4")}
    boxes = {"r": [(-0.1, 0.1), (0.9, 1.1)], "bleu4": [(0.0, 0.5)]}
    assert [run["id"] for run in runs if inside(run, scales, boxes)] == ["0", "2"]


def test_an_axis_of_words_or_of_numbers_far_apart():
    words = scale("schedule", ["linear", "cosine", "linear"])
    assert words.ticks == [(0.0, "cosine"), (1.0, "linear")]
    rates = scale("learning_rate", [0.001, 0.01, 0.1])
    assert rates.log
    assert rates.heights[0.01] == pytest.approx(0.5)
    assert rates.value(0.5) == pytest.approx(0.01)


def test_the_figures_of_a_sweep_are_among_those_that_the_command_writes(sweep):
    names = [figure.name for figure in figures(find_runs([sweep]))]
    assert {"eval_loss_by_rate", "best_eval_loss_of_trials", "parallel_eval_loss"} <= set(names)


# ---- every view
# -----------------------------------------------------------------------------------------------


def test_every_view_is_drawn_from_run_ids_or_says_why_not(sweep, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(sweep))
    ids = [run.id for run in find_runs([sweep])]
    reasons = {
        "what_counts": "must rest on at least 12 finished trials",
        "spectra": "must have recorded spectra, got none",
        "bonds": "must have recorded bonds, got none",
        "circuits": r"A run must have recorded circuit inputs, got none \(no circuit, or from before it was recorded: lora\(",
    }
    for name in PAGE:
        if name in reasons:
            with pytest.raises(ValueError, match=reasons[name]):
                draw_finding(name, ids)
        else:
            assert draw_finding(name, ids).table.rows, name
    with pytest.raises(ValueError, match="Unknown finding 'curve': did you mean 'curves'"):
        draw_finding("curve", ids)
    with refused("Options of best_of", "x"):
        draw_finding("best_of", ids, x="step")
    with refused("Runs to draw", "none", rule="at least one"):
        draw_finding("curves", [])


def test_recorded_runs_show_their_spectra_and_bonds():
    folder = data_dir() / "runs"
    assert draw_finding("spectra", [folder]).alt.count("seed") >= 6
    assert (
        "qtha seed 2"
        in draw_finding("bonds", [folder]).caption + draw_finding("bonds", [folder]).alt
    )


def test_spectra_are_of_the_layer_that_grew_most_in_any_run(tmp_path):
    layers = [("model.layers.0.q_proj", "model.layers.1.q_proj"), (9.0, 1.0), (0.1, 0.2)]
    for seed, tops in enumerate(layers[1:]):
        run = run_folder(tmp_path, seed=seed, steps=2)
        spectrum = {name: [top, top / 2] for name, top in zip(layers[0], tops, strict=True)}
        write(run, status("running", 0), {"kind": "spectrum", "step": 2, "layers": spectrum})
        finish(run, eval_loss=4.0)
    assert "model.layers.0.q_proj" in draw_finding("spectra", [tmp_path]).alt
