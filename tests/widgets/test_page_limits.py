"""Limits of the page: widget models at opening, classes with front-end code, one style sheet."""

import re
from pathlib import Path

import anywidget
from ipywidgets.widgets.widget import _instances
from support.run_folders import finish, run_folder, two_steps, write
from support.workbench_kernel import in_a_kernel

import widgets
from widgets.kit import boxes

FOLDER = Path(widgets.__file__).parent
STANDARD = {"@jupyter-widgets/base", "@jupyter-widgets/controls"}


def test_a_page_with_eight_runs_opens_with_at_most_250_models_of_ipywidgets(tmp_path):
    for seed in range(4):
        for method in ("lora(r=2)", "qtha(r=4)"):
            run = run_folder(tmp_path / "runs", method, seed, name="before", steps=2)
            two_steps(run)
            write(run, {"kind": "eval", "step": 2, "loss": 4.1})
            finish(run, eval_loss=4.1, test_loss=4.1, train_loss=4.1)
    before = set(_instances)

    async def work(bench):
        await bench.watch.follow()
        parts = set(boxes.inside(bench))
        return len(_instances.keys() - before), parts

    count, parts = in_a_kernel(work)
    assert 100 < count <= 250
    own = {type(part).__name__ for part in parts if part._view_module not in STANDARD}
    assert own == {"FigureWidget", "RunsGrid"}


def test_two_classes_have_front_end_code_and_both_take_the_one_style_sheet():
    own = [
        kind
        for kind in anywidget.AnyWidget.__subclasses__()
        if kind.__module__.startswith(f"{widgets.__name__}.")
    ]
    assert {kind.__name__ for kind in own} == {"FigureWidget", "RunsGrid"}
    assert len({kind._css for kind in own}) == 1
    assert sorted(path.name for path in FOLDER.rglob("*.css")) == ["style_sheet.css"]
    assert sorted(path.name for path in FOLDER.rglob("*.js")) == [
        "figure_widget.js",
        "runs_grid.js",
    ]


def test_the_style_sheet_has_at_most_150_lines_and_the_colours_of_the_theme():
    (sheet,) = FOLDER.rglob("*.css")
    text = sheet.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    named = re.sub(r"var\([^)]*\)", "", text)  # fallbacks of pages without JupyterLab
    assert len(re.findall(r"#[0-9a-f]{3,6}\b", named)) <= 3
