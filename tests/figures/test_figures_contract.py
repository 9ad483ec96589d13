"""Page styles, captions and files of every figure; `test_contract` holds the other facts."""

import csv
import io
import subprocess
import sys

import plotly.graph_objects as go
import pytest
from support.refusals import refused

from qtha_lab.figures.machinery.export import NoBrowserError, export_all, export_figure
from qtha_lab.figures.machinery.figure import figure_functions
from qtha_lab.figures.machinery.page_style import TARGETS, PageStyle
from qtha_lab.figures.machinery.parts import plain_parts
from qtha_lab.figures.machinery.theme import INKS

FUNCTIONS = {one.name: one for one in figure_functions()}
every_figure = pytest.mark.parametrize("name", FUNCTIONS)


def texts_of(drawn: go.Figure) -> list[str]:
    layout = drawn.layout
    axes = [layout[k].title.text for k in layout if k.startswith(("xaxis", "yaxis"))]
    return [t for t in axes if t] + [
        t for trace in drawn.data for t in (getattr(trace, "text", None) or ())
    ]


@every_figure
@pytest.mark.parametrize(
    ("theme", "target"),
    [(next(iter(INKS)), target) for target in TARGETS]
    + [(theme, next(iter(TARGETS))) for theme in list(INKS)[1:]],
)
def test_it_draws_in_every_look_at_the_width_of_the_target(name, theme, target):
    figure = FUNCTIONS[name].example(theme=theme).at(PageStyle(theme, target))
    assert figure.layout.template.layout.paper_bgcolor == INKS[theme].paper
    place = TARGETS[target]
    font, width = figure.layout.template.layout.font.size, figure.layout.width
    assert font * place.zoom == pytest.approx(place.font_points * 96 / 72)
    if target != "screen":
        assert width * place.zoom == pytest.approx(place.width_inches * 96, abs=1)
        assert figure.layout.height < 1.5 * width
    assert texts_of(figure), "nothing is labelled"


@every_figure
def test_it_says_what_it_shows_and_what_it_does_not(name):
    figure = FUNCTIONS[name].example()
    assert len(figure.caption.split()) >= 12
    assert figure.plotly.layout.meta == {"caption": figure.caption, "alt": figure.alt}


@every_figure
def test_its_table_is_read_back_from_csv(name):
    table = FUNCTIONS[name].example().table
    read = list(csv.reader(io.StringIO(table.csv())))
    assert tuple(read[0]) == table.columns
    assert len(read) == len(table.rows) + 1


@every_figure
def test_its_drawing_as_plain_data_is_that_of_plotly(name):
    figure = FUNCTIONS[name].example()
    assert figure.drawing(PageStyle("page")) == plain_parts(figure.at(PageStyle("page")))


@every_figure
def test_plotly_accepts_every_value_of_it(name):
    drawn = plain_parts(FUNCTIONS[name].example().at(PageStyle("page")))
    again = go.Figure(**drawn)  # some are made without this check
    assert len(again.data) == len(drawn["data"])


@every_figure
def test_it_is_written_without_a_browser(name, tmp_path):
    for form in ("html", "csv", "tex"):
        figure = FUNCTIONS[name].example()
        path = export_figure(figure, tmp_path / f"{name}.{form}", plotlyjs="directory")
        text = path.read_text()
        assert figure.alt.split(":")[0][:20] in text or form == "csv"


def test_names_are_all_different():
    names = [one.example().name for one in FUNCTIONS.values()]
    assert len(set(names)) == len(names) >= 10


def test_unknown_looks_are_refused_in_a_sentence():
    with refused("target", "'stamp'"):
        PageStyle(target="stamp")
    with refused("theme", "'neon'"):
        FUNCTIONS["pareto"].example(theme="neon")


@pytest.mark.slow
def test_without_a_browser_the_rest_is_still_written_and_the_way_to_one_is_told(tmp_path):
    code = (
        "import sys; from qtha_lab.figures.machinery.export import export_all\n"
        "from qtha_lab.figures.machinery.figure import figure_functions\n"
        "figures = [f.example() for f in figure_functions()][:2]\n"
        "written, said = export_all(figures, sys.argv[1]); print(len(written), said)"
    )
    env = {"BROWSER_PATH": "/nowhere/chromium", "PATH": "/usr/bin:/bin"}
    words = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout
    assert process.startswith("8 A picture must have a browser, got none: install Chromium")
    assert "BROWSER_PATH" in process
    assert {p.suffix for p in tmp_path.iterdir()} == {".html", ".csv", ".tex", ".js", ".md"}


def test_another_ending_is_refused_before_anything_is_written(tmp_path):
    with refused("The figure's format", "'a.docx'"):
        export_figure(FUNCTIONS["pareto"].example(), tmp_path / "a.docx")
    assert issubclass(NoBrowserError, OSError)
    assert list(tmp_path.iterdir()) == []
    assert export_all([], tmp_path) == ([], "")
