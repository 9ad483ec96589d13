"""The exported figures of a comparison.

Order, names, intervals, seeds and sizes, as a referee would see them.
"""

import csv
import io
import itertools

import numpy as np
import pytest
from support.refusals import refused
from support.run_folders import finish, run_folder, two_steps, write
from typer.testing import CliRunner

from qtha_lab.cli import load_commands
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.figures.best_of_trials import Budget, best_of_trials
from qtha_lab.figures.loss_against_rate import loss_against_rate
from qtha_lab.figures.loss_curves import loss_curves
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import plain_parts
from qtha_lab.figures.machinery.table import Table
from qtha_lab.figures.pareto import pareto
from qtha_lab.runs.table.varied import filled
from qtha_lab.studies.comparison.compared import names_of
from qtha_lab.studies.comparison.explain import explain
from qtha_lab.studies.comparison.finding import drawn_seeds
from qtha_lab.studies.comparison.findings import draw_finding, figures, findings
from qtha_lab.studies.comparison.found_runs import find_runs
from qtha_lab.studies.comparison.paired import paired_difference
from qtha_lab.studies.comparison.trial_statistics import contenders

SEEDS, ROWS = (10, 11, 12), 8
METHODS = {
    "lora(r=2,learning_rate=0.01)": 4.10,
    "lora(r=8,learning_rate=0.01)": 4.08,
    "qtha(r=4,waist=16,bond_dim=3,learning_rate=0.01)": 4.20,
    "qtha(r=4,waist=16,bond_dim=3,stand_in=bias,learning_rate=0.03)": 4.21,
    "qtha(r=4,waist=16,bond_dim=3,stand_in=silu,learning_rate=0.01)": 4.22,
    "qtha(r=4,waist=16,bond_dim=3,use_circuit=false,learning_rate=0.03)": 4.23,
    "qtha_gradient(r=4,learning_rate=0.03)": 4.11,
    "qtha_gradient(r=4,middle=linear,learning_rate=0.03)": 4.12,
}
SHORT = [
    "lora(r=2)",
    "lora(r=8)",
    "qtha",
    "qtha(stand_in=bias)",
    "qtha(stand_in=silu)",
    "qtha(use_circuit=false)",
    "qtha_gradient",
    "qtha_gradient(middle=linear)",
]
FAMILIES = {name.rsplit(",learning_rate", 1)[0] + ")": name for name in METHODS}
FACTS = {"angle_std": 1.0, "beyond_pi": 0.1, "constant_part": 0.3, "branch_power": 0.5}


def losses(method, seed):
    """The losses of the test rows of a run.

    Rows differ much, methods by their mean, seeds a little.
    """
    random = np.random.default_rng([seed, len(method)])
    return METHODS[method] + np.linspace(-0.5, 0.5, ROWS) + random.normal(0, 0.002, ROWS)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    for seed, method in itertools.product(SEEDS, reversed(METHODS)):
        run = run_folder(folder / "runs", method, seed, steps=2)
        two_steps(run)
        rows = losses(method, seed)
        write(run, {"kind": "eval", "step": 2, "loss": float(rows.mean())})
        layers = {"0.q": {"block": 0, **FACTS}, "1.q": {"block": 1, **FACTS}}
        singular = {"0.q": {"singular_values": [1.0, 0.5], "effective_rank": 1.5}}
        for step in (0, 2):
            if method.startswith("qtha"):
                write(run, {"kind": "bottleneck", "step": step, "layers": layers})
            write(run, {"kind": "spectrum", "step": step, "layers": singular})
        write_json(
            run.files.test,
            {
                "items": [f"row {k}" for k in range(ROWS)],
                "losses": rows.tolist(),
                "labels": [1] * ROWS,
            },
        )
        choice = run.experiment.method
        finish(
            run,
            eval_loss=float(rows.mean()),
            test_loss=float(rows.mean()),
            seconds_per_step=0.1 + len(method) / 1e3,
            peak_memory_bytes=2**26 + len(method) * 2**20,
            eval_loss_start=5.0,
            train_loss=4.0,
            options=choice.options,
            trainable_parameters=30720 if "r=8" in method else 5800 + 20 * len(method),
        )
    contenders = [{"model": "tiny", "task": "qa", "method": name} for name in _families(folder)]
    write_json(folder / "summary.json", {"contenders": contenders, "runs": [], "notes": []})
    (folder / "comparison.yaml").write_text("methods: []\n")
    return folder


def _families(folder):
    """Labels without rate, in the order of `METHODS`."""
    by_label = {run.experiment.method.label: run.experiment.method for run in find_runs([folder])}
    ordered = sorted(by_label, key=lambda label: SHORT.index(names_of(by_label)[label]))
    return [by_label[name].model_copy(update={"learning_rate": None}).label for name in ordered]


@pytest.fixture(scope="module")
def drawn(comparison):
    return {figure.name: figure for figure in figures(find_runs([comparison]))}


# ---- the set
# ------------------------------------------------------------------------------------------------


def test_the_forest_of_paired_differences_is_exported_first(drawn):
    assert next(iter(drawn)) == "forest_test_loss"
    forest = drawn["forest_test_loss"]
    assert [row[0] for row in forest.table.rows] == SHORT[1:]
    assert "minus that of lora(r=2)" in forest.alt
    qtha = next(row for row in forest.table.rows if row[0] == "qtha")
    names = ("qtha(r=4,waist=16,bond_dim=3,learning_rate=0.01)", "lora(r=2,learning_rate=0.01)")
    first, second = (np.stack([losses(name, seed) for seed in SEEDS]) for name in names)
    expected = paired_difference(first, second, claims=7)  # seven claims together
    assert qtha[1:4] == pytest.approx((expected.mean, expected.low, expected.high))


def test_the_findings_are_those_of_explain_in_words_and_those_figures(drawn, comparison):
    words, *others = findings(find_runs([comparison]))
    assert words.sentences == explain([comparison]).sentences
    assert [figure.name for found in others for figure in found.figures] == list(drawn)


def test_the_bars_of_costs_are_those_of_the_paired_differences_and_the_reference_has_none(drawn):
    forest = {row[0]: row[1:4] for row in drawn["forest_test_loss"].table.rows}
    table = drawn["pareto_test_loss_trainable_parameters"].table
    points = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert points["lora(r=2)"]["low"] is None
    mean, low, high = forest["qtha"]
    point = points["qtha"]
    assert point["low"] - point["test_loss"] == pytest.approx(low - mean)
    assert point["high"] - point["test_loss"] == pytest.approx(high - mean)
    assert (
        "paired difference to lora(r=2) over seeds and rows"
        in drawn["pareto_test_loss_seconds_per_step"].caption
    )


def test_names_are_short_and_a_table_says_what_they_stand_for(drawn):
    rows = drawn["methods"].table.rows
    assert [row[0] for row in rows] == SHORT
    assert all("learning_rate=" in row[1] for row in rows)
    assert [row[0] for row in drawn["results"].table.rows] == SHORT


def test_names_in_full_are_those_of_the_runs(comparison):
    full = list(figures(find_runs([comparison]), names="full"))
    assert "methods" not in [figure.name for figure in full]
    results = next(figure for figure in full if figure.name == "results")
    assert all("learning_rate=" in row[0] for row in results.table.rows)
    with refused("names", "'long'"):
        list(figures(find_runs([comparison]), names="long"))


def test_a_title_of_ones_own_is_no_option_to_leave_out():
    label = "lora(r=2,title='small one')"
    assert names_of([label, "lora(r=8)"])[label] == label


# ---- captions
# -----------------------------------------------------------------------------------------------


def test_captions_name_the_linear_path_and_not_the_update(drawn):
    for name in ("singular_values", "rank_by_layer", "spectrum_qtha"):
        assert "the linear path" in drawn[name].caption, name
        assert "of the update" not in drawn[name].caption, name


def test_figures_of_one_seed_say_which_of_how_many(drawn):
    for name in ("singular_values", "rank_by_layer", "circuit_inputs"):
        assert drawn[name].caption.endswith("Drawn is seed 10 of 3 seeds."), name
    assert "seed 10 of 3 seeds" in drawn["spectrum_qtha"].caption
    assert drawn_seeds({"lora": (0, 1)}) == ""


def test_circuit_angles_are_drawn_of_methods_with_a_circuit_alone(drawn, comparison):
    assert {row[0] for row in drawn["circuit_inputs"].table.rows} == {"qtha", "qtha_gradient"}
    history = draw_finding("circuits", [comparison])
    drawn_there = {row[0] for row in history.table.rows}
    assert len(drawn_there) == 2
    assert not any("bias" in name or "silu" in name or "linear" in name for name in drawn_there)
    assert "No circuit: " in history.caption
    assert "stand_in=silu" in history.caption


def test_controls_are_no_trials_of_their_method(comparison, tmp_path):
    assert all(
        len(rows) == len(SEEDS) for rows in contenders(filled(find_runs([comparison]))).values()
    )
    assert len(contenders(filled(find_runs([comparison])))) == len(METHODS)
    for option in ("waist=8", "waist=16", "waist=8,use_circuit=false"):
        finish(run_folder(tmp_path, f"qtha(r=2,{option})"), eval_loss=4.0)
    groups = contenders(filled(find_runs([tmp_path])))
    assert {name: len(rows) for name, rows in groups.items()} == {
        "qtha": 2,
        "qtha(use_circuit=false)": 1,
    }


def test_nothing_of_tuning_is_exported_where_nothing_was_tuned(drawn):
    assert not {"eval_loss_by_rate", "best_eval_loss_of_trials", "parallel_eval_loss"} & set(drawn)


def test_no_rate_is_the_best_where_one_was_tried():
    ends = [
        {"label": label, "seed": 0, "learning_rate": rate, "value": value}
        for label, rate, value in (("lora", 0.01, 4.1), ("lora", 0.1, 4.3), ("qtha", 0.01, 4.2))
    ]
    alt = loss_against_rate(ends).alt
    assert "best at these learning rates: lora 4.100 at 0.01 (1 seed)." in alt
    assert "Run at one learning rate alone: qtha 4.200 at 0.01 (1 seed)." in alt
    assert "best" not in loss_against_rate(ends[2:]).alt


# ---- drawings
# -----------------------------------------------------------------------------------------------


def eight_methods():
    return [
        {"label": f"qtha(r={r})", "seed": seed, "kind": "eval", "steps": [0, 50, 100],
         "values": [5.0, 4.5 + 0.01 * seed, 4.0 + 0.01 * seed + r / 100]}
        for r in range(8)
        for seed in range(3)
    ]  # fmt: skip


def test_many_methods_have_bars_and_no_bands():
    curves = loss_curves(eight_methods())
    assert not any(trace.fill for trace in curves.plotly.data)
    mean = curves.plotly.data[0]
    # 4.00, 4.01, 4.02 at the last step: 4.303 · 0.01 / √3
    assert mean.error_y.array[-1] == pytest.approx(4.303 * 0.01 / 3**0.5, rel=1e-3)
    assert "95 % interval over the seeds" in curves.caption
    budgets = {f"m{k}": Budget([4.0], [3.9], [4.1], [4.0]) for k in range(8)}
    assert not any(trace.fill for trace in best_of_trials(budgets).plotly.data)
    ends = [
        {"label": f"m{k}", "seed": seed, "learning_rate": rate, "value": 4.0 + k / 10 + seed / 100}
        for k in range(8)
        for rate in (0.01, 0.1)
        for seed in (0, 1)
    ]
    assert not any(trace.fill for trace in loss_against_rate(ends).plotly.data)


def test_a_logarithmic_cost_says_so_and_has_ticks_enough():
    costs = (5940, 6324, 6900, 7680, 30720)
    figure = pareto([{"label": f"m{k}", "cost": c, "quality": 4.0} for k, c in enumerate(costs)])
    axis = figure.plotly.layout.xaxis
    assert axis.type == "log"
    assert len(axis.tickvals) >= 4
    assert "log scale" in axis.title.text
    assert "logarithmic" in figure.caption


@pytest.mark.parametrize("target", ["one-column", "two-column"])
def test_every_figure_fits_a_page_and_its_legend_fits_the_figure(drawn, target):
    page_style = PageStyle(target=target, legend="below")
    for name, figure in drawn.items():
        layout = figure.at(page_style).layout
        assert layout.height <= 9 * 96, f"{name} is higher than a page"
        assert layout.width == pytest.approx(page_style.width, abs=1), name
        if layout.showlegend:
            assert layout.legend.maxheight == 1, name
            rows = len([t for t in figure.at(page_style).data if t.showlegend is not False])
            columns = max(
                1, int((page_style.width - page_style.font) // (layout.legend.entrywidth + 40))
            )
            # plotly gives each row at least 19 pixels
            assert layout.margin.b >= 19 * -(-rows // columns), name


def test_the_table_of_results_is_one_block_of_the_columns_that_matter(drawn):
    results = drawn["results"]
    narrow = results.at(PageStyle(target="one-column"))
    assert layout_height(narrow) <= 1.3 * narrow.layout.width
    texts = [text for trace in plain_parts(narrow)["data"] for text in trace.get("text") or ()]
    assert texts.count("method") == 1
    assert {"parameters", "test loss"} <= set(texts)
    assert "file of its numbers" in results.caption


def layout_height(figure):
    return figure.layout.height


def test_text_in_a_csv_is_no_formula_and_numbers_stay_numbers():
    text = Table(("=method", "loss"), [("=HYPERLINK(1)", -1.5), ("@a", 2)]).csv()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [["'=method", "loss"], ["'=HYPERLINK(1)", "-1.5"], ["'@a", "2"]]


# ---- the command
# --------------------------------------------------------------------------------------------


def call(*words):
    return CliRunner().invoke(load_commands(), ["plot", *map(str, words)], env={"COLUMNS": "200"})


def test_figures_are_listed_and_nothing_is_written(comparison, tmp_path):
    answer = call(comparison, "--list", "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert "forest_test_loss" in answer.output
    assert not (tmp_path / "out").exists()


def test_figures_are_chosen_by_name_with_names_font_and_points(comparison, tmp_path):
    words = ("--only", "forest*,results", "--formats", "html", "--names", "full", "--points", "9")
    answer = call(comparison, *words, "--font", "Times New Roman, serif", "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"forest_test_loss.html", "results.html", "plotly.min.js"}
    page = (tmp_path / "out" / "forest_test_loss.html").read_text()
    assert "Times New Roman" in page
    assert "learning_rate" not in page or "qtha(r=4,waist=16,bond_dim=3" in page


def test_a_figure_that_is_not_there_is_refused_by_its_name(comparison, tmp_path):
    record = call(comparison, "--only", "florest*", "--out", tmp_path / "out").exception
    assert isinstance(record, ValueError)
    assert "only must name figures of these runs, got florest*" in str(record)
    assert "--list" in str(record)
    assert not (tmp_path / "out").exists()
