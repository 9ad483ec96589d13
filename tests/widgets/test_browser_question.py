"""Predictions in a real JupyterLab: asked by buttons and a curve, and compared once answered."""

import json
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import Lab, open_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELLS = (
    """from qtha_lab.lessons import build, predict, progress, reveal
from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
about = {"8": "A is random, but B is zero"}
for declared in (
    Prediction("95.a", "How many entries are not zero?", ("8", "0"), answer="0", misconceptions=about),
    Prediction("95.c", "Draw the loss.", sketch=(1, 2, 4, 8, 16), labels=("n", "loss")),
):
    PREDICTIONS.add(declared.number, declared, "page")
step = ("it doubles", lambda f: ([f(1), f(2)], [2, 4], "1 and 2"))
BUILDS.add("95.double", BuildTask("95.double", "double", (step,)), "page")""",
    'predict("95.a")',
    'reveal("95.a", 0, "because B starts at zero.")',
    'predict("95.c")',
    """def double(x):
    return 2 * x

build("95.double", double)""",
)


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    notebook = tmp_path_factory.mktemp("predictions") / "page.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook, size=(1200, 1600)) as lab:
        lab.run_cell("import build")
        yield lab
        assert lab.complaints == []
        assert lab.errors() == []


def stored(lab: Lab) -> dict:
    return json.loads((lab.notebook.parent / "my" / "progress.json").read_text())


def test_a_result_waits_for_the_prediction_and_then_shows_both(lab):
    lab.run_cell('predict("95.a")')
    lab.run_cell('reveal("95.a"')
    expect(lab.page.get_by_text("Predict first, or press skip.")).to_be_visible()
    lab.page.locator(".qtha-question").get_by_role("button", name="8", exact=True).click()
    said = "You said 8; it is 0, because B starts at zero. About 8: A is random, but B is zero."
    expect(lab.page.get_by_text(said)).to_be_visible()
    expect(lab.page.get_by_text("Predict first, or press skip.")).to_have_count(0)
    assert stored(lab)["predictions"]["95.a"]["answer"] == "8"


def test_a_curve_is_drawn_by_the_keyboard_and_kept(lab):
    lab.run_cell('predict("95.c")')
    panel = lab.page.locator(".qtha-question").last
    points = panel.get_by_role("slider")
    expect(points).to_have_count(5)
    expect(points.nth(2)).to_have_attribute("aria-valuenow", "0.5")
    points.nth(2).focus()
    for key in ("PageUp", "ArrowUp"):
        lab.page.keyboard.press(key)
    box = points.nth(4).bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"], box["y"] + 400, steps=4)
    lab.page.mouse.up()
    expect(points.nth(4)).to_have_attribute("aria-valuenow", "0.0")
    panel.get_by_role("button", name="Keep this curve").click()
    expect(panel.get_by_role("status")).to_contain_text("It is kept.")
    kept = stored(lab)["predictions"]["95.c"]["answer"]
    assert kept == pytest.approx([0.5, 0.5, kept[2], 0.5, 0.0])
    assert kept[2] > 0.6


def test_an_accepted_build_lies_beside_the_notebook(lab):
    lab.run_cell("def double")
    expect(lab.page.get_by_text("✓ 95.double built")).to_be_visible()
    code = (lab.notebook.parent / "my" / "lesson_95.py").read_text()
    assert "def double(x):\n    return 2 * x" in code
