"""Slides, workbook, key, seeds and classroom of the course."""

import base64
import html
import itertools
import json
import re
from dataclasses import replace

import pytest
from support.command_line import call
from support.refusals import refused

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons import check, exercises
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit import markup
from qtha_lab.lessons.kit.assignment import source_notebook
from qtha_lab.lessons.kit.classroom import histograms, share_progress, write_classroom
from qtha_lab.lessons.kit.lesson_page import LessonCell, lesson_page, lesson_pages
from qtha_lab.lessons.kit.markup import pictures
from qtha_lab.lessons.kit.slides import (
    MOST_WORDS,
    ninety_minutes,
    slides_of,
    write_slides,
)
from qtha_lab.lessons.kit.teacher_pages import board_drawing, write_teacher_pages
from qtha_lab.lessons.kit.variants import draw, seeded_page, use_seed
from qtha_lab.lessons.kit.workbook import workbook_items, write_workbook
from qtha_lab.lessons.predictions import PREDICTIONS
from qtha_lab.lessons.registry import EXERCISES, filled

PAGES = lesson_pages()
VARIED = [exercise.number for exercise in exercises() if exercise.ranges]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><circle r="4"/></svg>'


@pytest.fixture
def with_picture(tmp_path):
    """Lesson 3 whose explorer shows a static picture, as an executed copy has it."""
    notebook = json.loads(PAGES[3].path.read_text())
    panel = next(c for c in notebook["cells"] if "CircuitExplorer(" in "".join(c["source"]))
    data = {"image/svg+xml": SVG, "text/plain": "4 qubits."}
    panel["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data}]
    reveal = next(c for c in notebook["cells"] if 'reveal("3.a"' in "".join(c["source"]))
    answer = {"text/plain": "It is 0, because of the CNOT."}
    reveal["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": answer}]
    path = tmp_path / "03_circuits-tiny-0.ipynb"
    path.write_text(json.dumps(notebook))
    return lesson_page(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_every_prediction_is_a_stop_and_every_task_is_on_a_slide(page):
    slides = slides_of(page)
    stops = {s.title.removeprefix("Predict ") for s in slides if s.kind == "stop"}
    own = {n for n in PREDICTIONS if n.split(".")[0] == str(page.number)}
    assert own <= stops
    titles = {s.title.split(" · ")[0] for s in slides if s.kind == "exercise"}
    assert titles == {n for n in EXERCISES if n.split(".")[0] == str(page.number)}
    long = [s.title for s in slides if len(re.sub("<.*?>", "", s.body).split()) > 2 * MOST_WORDS]
    assert long == []


def answered(page):
    """A lesson whose answers and findings are marked by the number of their prediction."""
    cells = []
    for cell in page.cells:
        after = re.search(r'after="(\d+\.\w)"', cell.source)
        if cell.role == "reveal":
            data = {"text/plain": f"It is ANSWER {cell.number}."}
        else:
            data = {"text/markdown": f"**What to see.** ANSWER {after[1]}."} if after else {}
        cells.append(replace(cell, outputs=({"data": data},)))
    return replace(page, cells=tuple(cells))


def places(texts, number, declared):
    """Places of a prediction's question, and of what answers it."""
    texts = [re.sub("<.*?>|`", "", html.unescape(text)) for text in texts]
    question = declared.question.replace("`", "")
    asked = [k for k, text in enumerate(texts) if question in text]
    told = [f"ANSWER {number}.", *declared.misconceptions.values()]
    return asked, [k for k, text in enumerate(texts) if any(words in text for words in told)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_no_answer_stands_above_its_prediction_on_page_slides_and_paper(page):
    own = {n: p for n, p in PREDICTIONS.items() if n.split(".")[0] == str(page.number)}
    full = answered(page)
    cells = [
        f"{own[c.number].question if c.role == 'predict' else c.source} {c.outputs[0]['data']}"
        for c in full.cells
    ]
    slides = [f"{s.body} {s.spoken} {s.note}" for s in slides_of(full)]
    paper = [item.body for item in workbook_items(full)]
    for number, declared in own.items():
        for texts in (cells, slides):
            asked, told = places(texts, number, declared)
            assert len(asked) == 1, number
            assert asked[0] < min(told), number
        asked, told = places(paper, number, declared)
        assert (len(asked), told) == (1, []), number


def test_the_ninety_minutes_answer_no_prediction_before_its_stop():
    texts = [s.body for s in ninety_minutes(list(map(answered, PAGES)))]
    for number, declared in PREDICTIONS.items():
        asked, told = places(texts, number, declared)
        assert not told or (asked and asked[0] < min(told)), number


def test_explorer_and_answer_are_on_slides_and_the_explorer_in_the_workbook(with_picture):
    slides = slides_of(with_picture)
    assert [s.note for s in slides if s.kind == "picture"] == ["4 qubits."]
    assert any("because of the CNOT" in s.body for s in slides if s.kind == "result")
    paper = [item.body for item in workbook_items(with_picture)]
    assert "data:image/svg+xml" in paper[-1]
    assert "Results" in paper[-2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_every_text_of_a_lesson_is_on_paper_without_a_dollar_sign_of_a_formula(page):
    text = "".join(re.sub("<.*?>", "", item.body) for item in workbook_items(page))
    assert "$" not in text


def test_a_formula_in_a_heading_becomes_mathml():
    assert markup.to_html("## What does $x$ do?").count("<math") == 1


def test_the_ninety_minutes_begin_with_their_marks():
    slides = ninety_minutes(PAGES)
    marks = [s.title for s in slides if s.kind == "mark"]
    assert (marks[0], marks[-1], len(marks)) == ("0–8 minutes", "86–90 minutes", 9)
    titles = [s.title for s in slides]
    second = titles.index("22–34 minutes")
    assert titles.index("Predict 3.a") < second < titles.index("Predict 3.b")
    corrected = titles.index("66–76 minutes")
    assert titles.index("Predict 7.a") < corrected < titles.index("Predict 7.b")


def test_a_caption_that_an_embedded_drawing_holds_is_not_repeated_below_it():
    def notes(drawing):
        source = f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"
        data = {"text/html": f'<img alt="x" src="{source}">', "text/plain": "4 qubits < 5."}
        cell = LessonCell("code", "", "code", "", ({"data": data},), {})
        return [picture.note for picture in pictures(cell)]

    assert notes("<svg><text>4 qubits &lt; 5.</text></svg>") == [""]
    assert notes("<svg></svg>") == ["4 qubits < 5."]


@pytest.mark.slow
def test_pages_are_printed_and_the_key_covers_every_exercise(with_picture, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    markup.require_kit()
    pages = [*PAGES[:3], with_picture, *PAGES[4:]]
    files = write_teacher_pages(pages, tmp_path)
    key = (tmp_path / "key.html").read_text()
    lessons = {page.number for page in PAGES}
    for number in [*EXERCISES, *BUILDS]:
        assert int(number.split(".")[0]) not in lessons or f" {number} · " in key
    assert "It is 0, because of the CNOT." in key
    files += write_workbook([with_picture], tmp_path, "https://example.org/lessons")
    files += write_slides([with_picture], tmp_path / "slides")
    widths = {}
    for file in files:
        if file.suffix == ".pdf":
            pages_of = pypdf.PdfReader(file).pages
            widths[file.stem] = round(float(pages_of[0].mediabox.width))
            assert len(pages_of) >= 2 or file.stem == "rubrics"
    assert (widths["workbook_a4"], widths["workbook_letter"]) == (595, 612)
    assert 'class="segno"' in (tmp_path / "workbook_a4.html").read_text()
    deck = (tmp_path / "slides" / "03_circuits.html").read_text()
    assert not re.search(r'(src|href)="https?:', deck)


def test_the_board_has_a_drawing_where_the_class_draws():
    drawn = {n: board_drawing(n) for n in range(13)}
    assert {n for n, figure in drawn.items() if figure} == {2, 3, 7}
    assert drawn[2].alt.startswith("MPO of 2 cores for a 4 × 4 matrix: bonds 4")
    assert "1 CNOT" in drawn[3].alt


# ---- other constants per student


@pytest.fixture
def declared_exercises():
    """Put the declared exercises back after a seed was used."""
    before = {number: EXERCISES[number] for number in EXERCISES}
    yield before
    for number, exercise in before.items():
        EXERCISES.add(number, exercise, EXERCISES.module_of(number))


@pytest.mark.parametrize("number", VARIED)
def test_every_constant_of_a_range_has_a_right_solution_and_wrong_mistakes(
    number, declared_exercises
):
    exercise = declared_exercises[number]
    for values in itertools.product(*exercise.ranges.values()):
        changed = exercise.with_constants(dict(zip(exercise.ranges, values, strict=True)))
        EXERCISES.add(number, changed, EXERCISES.module_of(number))
        assert check(number, changed.answer_of(changed.solution)).state == "right"
        for code, why in changed.mistakes:
            verdict = check(number, changed.answer_of(code))
            assert (verdict.state, verdict.message) == ("wrong", why), (values, code)


@pytest.mark.parametrize("number", VARIED)
def test_the_task_of_a_seed_states_its_constants(number):
    exercise = EXERCISES[number]
    page = next(p for p in PAGES if p.number == int(number.split(".")[0]))
    tasks = {seed: seeded_page(page, seed).task_of(number) for seed in range(20)}
    assert len({tuple(draw(number, seed).values()) for seed in tasks}) > 1
    for phrase in exercise.phrases:
        assert page.task_of(number).count(filled(phrase, exercise.declared)) == 1
    stated = re.findall(r"\{(\w)", " ".join(exercise.phrases))
    assert sorted(stated) == sorted(exercise.ranges)
    for seed, task in tasks.items():
        assert all(filled(phrase, draw(number, seed)) in task for phrase in exercise.phrases)


def test_a_seeded_notebook_grades_with_its_own_constants(declared_exercises):
    seed = next(seed for seed in range(50) if draw("3.1", seed)["x"] == 0.4)
    notebook = source_notebook(seeded_page(PAGES[3], seed))
    assert f"use_seed({seed})" in notebook["cells"][2]["source"]
    use_seed(seed)
    assert check("3.1", 0.9210609940).state == "right"  # cos 0.4
    assert check("3.1", 0.7648421873).state == "wrong"  # cos 0.7, as declared
    use_seed(seed)
    assert check("3.1", 0.9210609940).state == "right"


def test_the_command_prints_the_key_of_a_seed_and_refuses_a_negative_one():
    answer = call("course", "seed", "7", "--json")
    assert [row["exercise"] for row in json.loads(answer.output)] == VARIED
    with refused("seed", "-1"):
        draw("3.1", -1)


# ---- a class


def progress_of(folder, answers):
    folder.mkdir()
    entries = {n: {"answer": a, "date": "2026-11-30 09:00"} for n, a in answers.items()}
    stored = {"predictions": entries, "exercises": {"1.1": {"done": True, "attempts": 2}}}
    (folder / "progress.json").write_text(json.dumps(stored | {"secret": "code"}))


def test_the_histogram_counts_what_a_class_predicted(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    right, *others = PREDICTIONS["3.b"].options
    for name, answer in (("Ada", right), ("Bo", right), ("", others[0]), ("Cy", "skip")):
        mine = tmp_path / f"my{name}"
        progress_of(mine, {"3.b": answer})
        monkeypatch.setenv("QTHA_LAB_MY", str(mine))
        copy = share_progress(shared, name)
        assert "secret" not in copy.read_text()
    (shared / "damaged.progress.json").write_text("{")
    (shared / "odd.progress.json").write_text('{"predictions": {"3.b": {"answer": ["x"]}}}')
    (histogram,) = histograms(shared)
    assert dict(histogram.counts) == {right: 2, others[0]: 1} | dict.fromkeys(others[1:], 0)
    assert histogram.skipped == 1
    markup.require_kit()
    page = write_classroom(shared).read_text()
    assert "Ada" in page
    assert "<td>03</td><td>1</td>" in page
    assert not re.search(r"https?://|<script", page)


def test_sharing_needs_a_folder_a_name_and_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "none"))
    with refused("FOLDER", rule="exist and be shared"):
        share_progress(tmp_path / "absent")
    with refused("name", "'../other'"):
        share_progress(tmp_path, "../other")
    with pytest.raises(Refusal, match="Answer a prediction first"):
        share_progress(tmp_path, "Ada")
