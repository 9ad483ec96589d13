"""Pages of lessons on the site: both models, print style and pages that run in the browser."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def switch(tmp_path):
    """The function that links the outputs of both models, in a site with one such lesson."""
    function = runpy.run_path(str(ROOT / "docs" / "hooks.py"))["_switch"]
    function.__globals__["ROOT"] = tmp_path
    (tmp_path / "docs" / "lessons" / "toy").mkdir(parents=True)
    for name in ("01_lora.ipynb", "toy/01_lora.ipynb", "03_circuits.ipynb"):
        (tmp_path / "docs" / "lessons" / name).touch()
    return function


def test_a_lesson_with_outputs_of_both_models_links_each_to_the_other(switch):
    real, toy = switch("lessons/01_lora.ipynb"), switch("lessons/toy/01_lora.ipynb")
    assert '<b>SmolLM2-135M</b> · <a href="toy/01_lora.html">the toy model</a>' in real
    assert '<b>the toy model</b> · <a href="../01_lora.html">SmolLM2-135M</a>' in toy
    assert switch("lessons/03_circuits.ipynb") == ""


def test_the_index_links_both_pages_that_run_in_the_browser():
    index = (ROOT / "docs" / "lessons" / "index.md").read_text()
    for page in (ROOT / "docs" / "lite").glob("*.ipynb"):
        assert f"../lite/notebooks/index.html?path={page.name}" in index


def test_links_between_lessons_lead_one_folder_up_from_a_toy_page():
    sibling = runpy.run_path(str(ROOT / "docs" / "hooks.py"))["SIBLING"]
    text = "see [1](01_lora.ipynb) and [x](https://example.org/a.ipynb)"
    assert sibling.sub("](../", text) == (
        "see [1](../01_lora.ipynb) and [x](https://example.org/a.ipynb)"
    )
