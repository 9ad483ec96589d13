"""Every notebook is built alike: short cells, literals for parameters, no outputs.

`test_lessons` executes them.
"""

import ast
import builtins
import re
import statistics
import symtable

import pytest
from support.notebooks import NOTEBOOKS, code_cells, each_lesson, each_notebook, is_python, read

from qtha_lab.lessons import exercises, get
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.predictions import PREDICTIONS
from qtha_lab.lessons.stated_minutes import (
    STEP,
    cells_of,
    computing_minutes,
    minutes_needed,
    stated_minutes,
)

INSTALL = """import importlib.util

if importlib.util.find_spec("qtha_lab") is None:
    %pip install --quiet "qtha-lab[lab]\""""
SAYS = 'print("qtha-lab is installed.")'
INSTALL_METADATA = {"jupyter": {"source_hidden": True}, "tags": ["install"]}


def test_there_is_a_tour():
    assert "00_tour" in [path.stem for path in NOTEBOOKS]


@each_notebook
def test_outputs_and_counts_are_stripped(path):
    for cell in code_cells(read(path)):
        assert cell.outputs == []
        assert cell.execution_count is None


@each_notebook
def test_cells_are_short(path):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(read(path))]
    assert statistics.median(lengths) <= 6
    assert max(lengths) <= 20


@each_notebook
def test_the_first_cell_says_what_one_will_be_able_to_do_how_long_it_takes_and_what_to_know(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert len([line for line in first.source.splitlines() if line.startswith("* ")]) == 3
    assert "minutes" in first.source
    assert "Before you start" in first.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_code_cell_installs_the_package_and_is_folded(path):
    title, install, *others = read(path).cells
    assert (title.cell_type, install.metadata) == ("markdown", INSTALL_METADATA)
    assert install.source.removesuffix(f"\n{SAYS}") == INSTALL
    assert not [cell.id for cell in others if "%pip" in cell.source]


@each_notebook
def test_one_parameters_cell_holds_literals_only(path):
    tagged = [c for c in code_cells(read(path)) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in ast.parse(tagged[0].source).body:
        assert isinstance(line, ast.Assign)
        ast.literal_eval(line.value)


@each_notebook
def test_code_that_prints_conclusions_is_folded(path):
    for cell in code_cells(read(path)):
        if re.search(r"^(what_to_see|reveal)\(", cell.source, re.MULTILINE):
            assert cell.metadata.get("jupyter", {}).get("source_hidden"), cell.id


@each_lesson
def test_the_stated_minutes_are_those_of_the_formula(path):
    cells = cells_of(path)
    needed = minutes_needed(cells, int(path.stem[:2]), computing_minutes(cells))
    assert needed <= stated_minutes(cells) <= needed + STEP


def test_minutes_are_the_sum_of_reading_solving_predicting_and_exploring():
    text = {"cell_type": "markdown", "source": ["word " * 300]}
    code = {"cell_type": "code", "source": "x = 1\n\ny = 2\n" * 12}
    asked = {"cell_type": "code", "source": 'predict("1.a")'}
    panel = {"cell_type": "code", "source": "CircuitExplorer()"}
    desk = {"cell_type": "code", "source": 'check("1.1", x)'}
    assert minutes_needed([text], 99) == 5  # 2 minutes of reading
    assert minutes_needed([text, code, code], 99) == 10  # and 4 of code
    assert minutes_needed([text, asked, asked, asked], 99) == 10  # and 4.5 of predictions
    assert minutes_needed([text, panel, desk], 99) == 10  # and 4 of an explorer
    assert minutes_needed([], 1) >= sum(e.minutes for e in exercises() if e.number[:2] == "1.")


@each_lesson
def test_every_question_of_the_recap_has_a_folded_answer(path):
    (recap,) = [c.source for c in read(path).cells if "**Recap.**" in c.source]
    asked, folded = recap.split("**Recap.**")[1].split("\n\n<details><summary>", 1)
    assert asked.count("?") == len(re.findall(r"^\d\. .+\.$", folded, re.MULTILINE)) == 3


@each_lesson
def test_the_page_says_near_its_top_which_model_it_uses(path):
    shown = [cell.source for cell in read(path).cells[:4] if "page_model(" in cell.source]
    assert [source.splitlines()[-1] for source in shown] == ["page"]


@each_lesson
def test_what_is_to_be_seen_is_computed_and_not_written(path):
    cells = read(path).cells
    assert not [c.id for c in cells if c.cell_type == "markdown" and "What to see" in c.source]
    assert len([c for c in cells if "what_to_see(\n" in c.source]) >= 3


def bound_by(source):
    """Names that code binds at its top level."""
    table = symtable.symtable(source, "cell", "exec")
    return {
        s.get_name()
        for s in table.get_symbols()
        if s.is_assigned() or s.is_imported() or s.is_namespace()
    }


def needed_by(source):
    """Global names that code reads and does not bind itself."""
    tables, needed = [symtable.symtable(source, "cell", "exec")], set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        at_top = table.get_type() == "module"
        needed |= {
            s.get_name()
            for s in table.get_symbols()
            if s.is_referenced() and (s.is_global() or at_top)
        }
    return needed - bound_by(source) - set(dir(builtins))


def stubs_of(path):
    """Position of each exercise's stub in a lesson, by number."""
    cells = read(path).cells
    return {
        match[1]: k + 1
        for k, cell in enumerate(cells)
        if (match := re.match(r"### Exercise ([\d.]+) ·", cell.source))
    }


@each_lesson
def test_no_stub_or_solution_overwrites_a_name_of_the_page(path):
    cells = read(path).cells
    stubs = stubs_of(path)
    own = {k for at in stubs.values() for k in range(at, at + 4)}
    page = "\n".join(
        cell.source
        for k, cell in enumerate(cells)
        if cell.cell_type == "code" and k not in own and is_python(cell.source)
    )
    used = {node.id for node in ast.walk(ast.parse(page)) if isinstance(node, ast.Name)}
    used |= bound_by(page) - imported_by(page)
    for number, at in stubs.items():
        for source in (cells[at].source, get(number).solution):
            assert (bound_by(source) - imported_by(source)) & used == set(), number


def imported_by(source):
    return {
        s.get_name()
        for s in symtable.symtable(source, "cell", "exec").get_symbols()
        if s.is_imported()
    }


@each_lesson
def test_the_page_has_what_a_stub_a_solution_and_the_set_up_of_an_exercise_need(path):
    cells = read(path).cells
    for number, at in stubs_of(path).items():
        above = [c.source for c in cells[:at] if c.cell_type == "code" and is_python(c.source)]
        bound = set().union(*map(bound_by, above))
        exercise = get(number)
        for source in (cells[at].source, exercise.solution):
            assert needed_by(source) <= bound, number
        assert bound_by(exercise.setup) <= bound, number
        assert numpy_is_there(exercise.hints, bound), number


@each_lesson
def test_the_page_has_what_the_solution_of_a_build_needs(path):
    cells, lesson = read(path).cells, int(path.stem[:2])
    for number, task in BUILDS.items():
        if int(number.split(".")[0]) == lesson:
            at = next(k for k, c in enumerate(cells) if c.source.startswith(f'build("{number}"'))
            above = [c.source for c in cells[:at] if c.cell_type == "code"]
            bound = set().union(*(bound_by(source) for source in above if is_python(source)))
            assert needed_by(task.solution) <= bound, number


def numpy_is_there(hints, bound):
    return "np" in bound or not any("np." in hint for hint in hints)


def calls_of(name, source):
    """First arguments of a function's calls in a cell; none in a panel's cell."""
    tree = ast.parse(source) if is_python(source) else ast.Module([], [])
    return [
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == name
        and isinstance(call.args[0], ast.Constant)
    ]


@each_lesson
def test_every_prediction_is_answered_after_it_was_asked(path):
    asked, answered, lesson = [], [], f"{int(path.stem[:2])}."
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            continue
        asked += [number.removeprefix(lesson) for number in calls_of("predict", cell.source)]
        answered += [number.removeprefix(lesson) for number in calls_of("reveal", cell.source)]
        assert answered == asked[: len(answered)], "answered before it was asked"
    assert asked == list("abcdefghij"[: len(asked)])
    assert answered == asked


@each_lesson
def test_every_declared_prediction_and_build_is_on_its_page(path):
    lesson = f"{int(path.stem[:2])}."
    sources = [cell.source for cell in code_cells(read(path))]
    for name, declared in (("predict", PREDICTIONS), ("build", BUILDS)):
        called = [number for source in sources for number in calls_of(name, source)]
        assert sorted(called) == [number for number in declared if number.startswith(lesson)]


@each_lesson
def test_the_title_of_a_lesson_is_a_question(path):
    assert read(path).cells[0].source.splitlines()[0].endswith("?")
