"""Every notebook executed by a kernel, and the documentation.

A lesson is read in the full profile on each model: top to bottom as found, then every exercise is
solved.
`QTHA_LAB_CLAIMS` names more models than tiny, and `QTHA_LAB_CLAIM_SEEDS` more seeds than 0
(`make claims`).
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from support.jupyter_browser import FLAGS, chromium
from support.notebooks import (
    FOLDER,
    LESSONS,
    claims,
    execute,
    outputs_of,
    read,
    solving_cells,
    verdicts,
)
from support.workbench_page import violations

from qtha_lab.lessons.kit.lesson_page import LessonPage, lesson_page
from qtha_lab.lessons.kit.markup import pictures
from qtha_lab.lessons.kit.slides import slides_of
from qtha_lab.lessons.kit.workbook import workbook_items

MODELS = ["tiny", *os.environ.get("QTHA_LAB_CLAIMS", "").split()]
SEEDS = [0, *map(int, os.environ.get("QTHA_LAB_CLAIM_SEEDS", "").split())]
DOCS = FOLDER.parent / "docs"
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Lesson:
    """An executed lesson: its page and outputs as it is, and outputs of its solutions."""

    page: LessonPage
    outputs: list[NotebookNode]
    solved: list[NotebookNode]


@pytest.fixture(
    scope="module",
    params=[(path, model, seed) for path in LESSONS for model in MODELS for seed in SEEDS],
    ids=lambda lesson: f"{lesson[0].stem}-{lesson[1]}-{lesson[2]}",
)
def lesson(request, tmp_path_factory) -> Lesson:
    """A lesson executed on a model and a seed."""
    path, model, seed = request.param
    notebook = read(path)
    solving = solving_cells(notebook)
    (place,) = [
        number
        for number, cell in enumerate(notebook.cells, 1)
        if "parameters" in cell.metadata.get("tags", [])
    ]
    several = "seeds =" in notebook.cells[place - 1].source  # a lesson of several seeds reads one
    chosen = f"seeds = [{seed}]" if several else f"seed = {seed}"
    notebook.cells.insert(place, new_code_cell(f'model = "{model}"\n{chosen}'))
    notebook.cells += solving
    folder = tmp_path_factory.mktemp(path.stem)
    execute(notebook, folder, profile="full")
    notebook.cells = notebook.cells[: -len(solving)]
    del notebook.cells[place]
    copy = folder / path.name
    nbformat.write(notebook, copy)
    return Lesson(lesson_page(copy), outputs_of(notebook.cells), outputs_of(solving))


EXPLORER = re.compile(
    r"\b(?:\w+Explorer|BudgetBar|DataPath|RateCurve|FoolingMachine|AnsatzPair|Landscape|Chip"
    r"|MethodMap|FigureBench)\("
)


def panels_on_slides_and_paper(page: LessonPage) -> list[bool]:
    """For each explorer of a page, whether slides and workbook hold its picture."""
    shown = [slide.body for slide in slides_of(page) if slide.kind == "picture"]
    printed = "".join(item.body for item in workbook_items(page))
    code = [cell for cell in page.cells if cell.kind == "code"]
    panels = [pictures(cell) for cell in code if EXPLORER.search(cell.source)]
    return [
        bool(drawn) and all(one.html in shown and one.html in printed for one in drawn)
        for drawn in panels
    ]


def test_slides_and_workbook_hold_a_picture_of_every_explorer(lesson):
    panels = panels_on_slides_and_paper(lesson.page)
    assert panels
    assert all(panels)


def test_no_exercise_counts_as_attempted_before_it_is(lesson):
    lines = verdicts(lesson.outputs)
    assert len(lines) >= 3
    assert [line for line in lines if not line.startswith("○")] == []


def test_every_solution_is_right(lesson):
    lines = verdicts(lesson.solved)
    assert len(lines) == len(verdicts(lesson.outputs))
    assert [line for line in lines if not line.startswith(("✓", "✎"))] == []


def test_every_sentence_of_what_to_see_holds(lesson):
    sentences = claims(lesson.outputs)
    assert len(sentences) >= 5
    assert [sentence for sentence in sentences if sentence.startswith("✗")] == []


@pytest.fixture(params=["00_tour", "primer_qubit", "primer_model"])
def page(request, tmp_path) -> tuple[str, str]:
    """A page that is no lesson, executed in the small profile.

    Its name, and all that it printed.
    """
    path = FOLDER / f"{request.param}.ipynb"
    notebook = read(path)
    outputs = execute(notebook, tmp_path, profile="ci")
    return path.stem, "".join(out.text for out in outputs if out.output_type == "stream")


def test_pages_that_are_no_lessons_run_top_to_bottom_and_say_what_they_promise(page):
    name, printed = page
    promises = {
        "00_tour": "The losses agree: they differ by",
        "primer_qubit": "⟨Z⟩ of the second qubit: 0.697, before the CNOT: 1.000",  # cos 0.8
        "primer_model": "nats per token: a perplexity of",
    }
    assert promises[name] in printed


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built documentation."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(DOCS / "build.py"), str(folder)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr  # strict: a warning is an error
    return folder


def test_the_documentation_is_built_without_a_warning(site):
    assert "ΔW" in (site / "reference" / "methods.html").read_text()
    page = (site / "lessons" / "01_lora_and_rank.html").read_text()
    assert "<math" in page


LINK = re.compile(r'(?:href|src)="([^":?#]+)(?:#([^"]+))?"')


def test_every_link_between_pages_of_the_site_leads_to_a_place(site):
    links = [
        (page, (page.parent / unquote(path)).resolve(), place)
        for page in site.rglob("*.html")
        if page.stem != "404" and "lite" not in page.parts
        for path, place in LINK.findall(page.read_text())
    ]
    ids = {
        page: {*re.findall(r'id="([^"]+)"', page.read_text())}
        for page in {
            to for _, to, place in links if place and to.is_file() and to.suffix == ".html"
        }
    }
    broken = [
        (page.name, to.name, place)
        for page, to, place in links
        if not to.exists() or (place and to in ids and place not in ids[to])
    ]
    assert len(links) > 1000
    assert broken == []


@pytest.mark.browser
def test_the_site_opened_as_a_file_is_searched_accessible_and_fits_a_narrow_window(site):
    from playwright.sync_api import expect, sync_playwright

    foreign: list[str] = []
    pages = sorted(p for p in site.rglob("*.html") if "lite" not in p.parts and p.stem != "404")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for scheme in ("dark", "light"):
            size = {"width": 700, "height": 450}  # 1400 × 900 at 200 %
            view = browser.new_page(viewport=size, color_scheme=scheme)
            view.on("request", lambda r: r.url.startswith("http") and foreign.append(r.url))
            for page in pages if scheme == "light" else pages[::4]:
                view.goto(page.as_uri())
                assert view.evaluate("document.documentElement.scrollWidth") <= 700, page
                assert violations(view, "main") == [], page
        view.set_viewport_size({"width": 1400, "height": 900})
        view.goto((site / "index.html").as_uri())
        view.keyboard.press("/")
        view.keyboard.type("barren plateau")
        found = view.locator(".md-search-result__link")
        expect(found.first).to_contain_text("gradient")
        assert not [link for link in found.all() if "/toy/" in (link.get_attribute("href") or "")]
        browser.close()
    assert foreign == []


def test_a_build_of_the_documentation_without_its_packages_is_refused_in_a_sentence():
    # -S -E: a Python without any installed package
    command = [sys.executable, "-S", "-E", str(DOCS / "build.py")]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: the documentation needs mkdocs-material, mkdocstrings, mkdocs-jupyter, "
        "latex2mathml, nbclient: pip install -e '.[docs]'\n"
    )
