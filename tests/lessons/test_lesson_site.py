"""Pages of lessons on the site: both models, print style and pages that run in the browser."""

import re
import runpy
from functools import partial
from pathlib import Path

import nbformat
import pytest

from qtha_lab.lessons.kit.executed import PARAMETER
from tools.course_report import SIBLING

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "lessons"
COPIES = sorted(SITE.rglob("*.ipynb"))
NOTEBOOKS = "notebooks/[01p]*.ipynb"


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


@pytest.mark.parametrize("copy", COPIES, ids=lambda path: str(path.relative_to(SITE)))
def test_a_copy_has_the_cells_of_its_lesson_their_outputs_and_no_path_of_a_machine(copy):
    read = partial(nbformat.read, as_version=4)
    cells, lesson = read(copy).cells, read(ROOT / "notebooks" / copy.name).cells
    shown = [PARAMETER.sub("", cell.source.replace("](../", "](")) for cell in cells]
    assert shown == [PARAMETER.sub("", cell.source) for cell in lesson]
    kinds = [out.output_type for cell in cells for out in cell.get("outputs", [])]
    assert kinds
    assert "error" not in kinds
    assert not re.search(r"/(tmp|root|home|work)/", copy.read_text(encoding="utf-8"))


def test_every_lesson_is_copied_and_all_copies_are_small():
    assert {path.name for path in COPIES} == {path.name for path in ROOT.glob(NOTEBOOKS)}
    assert sum(path.stat().st_size for path in COPIES) < 6e6


def test_links_between_lessons_lead_one_folder_up_from_a_toy_page():
    text = "see [1](01_lora.ipynb) and [x](https://example.org/a.ipynb)"
    assert SIBLING.sub("](../", text) == (
        "see [1](../01_lora.ipynb) and [x](https://example.org/a.ipynb)"
    )
