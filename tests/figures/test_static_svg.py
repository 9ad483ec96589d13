"""Figures drawn without a browser: every one of them, and where its points must lie."""

import base64
import math
import re
import xml.etree.ElementTree as ElementTree

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from qtha_lab.figures.machinery import static_svg, static_svg_marks
from qtha_lab.figures.machinery.figure import figure_functions
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import plain_parts

FUNCTIONS = {function.name: function for function in figure_functions()}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_figure_has_a_picture_with_its_finding_and_its_axes(name):
    figure = FUNCTIONS[name].example()
    picture = ElementTree.fromstring(figure.svg())
    assert picture.find(f"{SVG}title").text == figure.alt
    words = " ".join("".join(text.itertext()) for text in picture.iter(f"{SVG}text"))
    for word in figure.alt.split():
        assert word in words
    layout = plain_parts(figure.at(PageStyle("page")))["layout"]
    axes = [
        axis for key, axis in layout.items() if key[1:5] == "axis" and axis.get("visible", True)
    ]
    for axis in axes:
        # a title of two lines stands in two spans of one text
        assert (axis.get("title") or {}).get("text", "").replace("<br>", "") in words
    width = float(picture.get("width"))
    assert all(0 <= float(text.get("x")) <= width for text in picture.iter(f"{SVG}text"))


def test_a_line_goes_through_its_points_and_breaks_where_one_is_missing():
    line = {"type": "scatter", "mode": "lines", "x": [0, 1, 2, 3, 4], "y": [0, 1, None, 3, 4]}
    layout = {"width": 300, "height": 200, "margin": {"l": 100, "r": 0, "t": 0, "b": 100},
              "xaxis": {"range": [0, 4]}, "yaxis": {"range": [0, 4]}}  # fmt: skip
    picture = ElementTree.fromstring(static_svg.svg({"data": [line], "layout": layout}, "a line"))
    runs = [run.get("points") for run in picture.iter(f"{SVG}polyline")]
    # 200 pixels for 4 along from 100, 100 pixels for 4 up from 100
    assert runs == ["100.0,100.0 150.0,75.0", "250.0,25.0 300.0,0.0"]


@pytest.mark.parametrize("missing", [None, 0])
def test_a_text_is_drawn_only_at_a_point_that_its_axes_hold(missing):
    dots = {"type": "scatter", "mode": "markers+text", "text": ["nowhere", "ten"]}
    dots |= {"x": [missing, 10], "y": [1, 2]}
    layout = {"width": 300, "height": 200, "xaxis": {"type": "log"}}
    drawn = static_svg.svg({"data": [dots], "layout": layout}, "dots")
    assert "ten" in drawn
    assert "nowhere" not in drawn
    assert '"nan"' not in drawn


def test_bars_of_an_error_run_to_their_ends_up_and_along_and_the_axes_hold_them():
    dots = {"type": "scatter", "mode": "markers", "x": [1, 3], "y": [1, 3],
            "error_x": {"array": [1, None], "arrayminus": [0.5, None]},
            "error_y": {"array": [None, 1]}}  # fmt: skip
    layout = {"width": 300, "height": 200, "margin": {"l": 100, "r": 0, "t": 0, "b": 100},
              "xaxis": {"range": [0, 4]}, "yaxis": {"range": [0, 4]}}  # fmt: skip
    picture = ElementTree.fromstring(static_svg.svg({"data": [dots], "layout": layout}, "dots"))
    ways = [path.get("d") for path in picture.iter(f"{SVG}path")]
    # along from 100 by 50 a unit, at 1 up, which is 75 down; up and down from 3 by 25 a unit, at 3
    # along
    assert {"M125.0 75.0H200.0", "M250.0 50.0V0.0"} <= set(ways)
    # without ranges of their own the axes reach as far
    assert static_svg_marks.ends_of_errors(dots, "x") == [0.5, 2]
    assert static_svg_marks.ends_of_errors(dots, "y") == [2, 4]


def test_a_logarithmic_axis_gives_equal_room_to_equal_ratios():
    points = {"type": "scatter", "mode": "markers", "x": [1, 2, 3], "y": [1, 10, 100]}
    layout = {"yaxis": {"type": "log"}, "height": 300}
    picture = ElementTree.fromstring(static_svg.svg({"data": [points], "layout": layout}, "dots"))
    high, middle, low = sorted(float(dot.get("cy")) for dot in picture.iter(f"{SVG}circle"))
    assert math.isclose(middle - high, low - middle, abs_tol=0.11)  # written to a tenth


def test_bars_begin_at_zero_and_are_as_high_as_their_values():
    bars = {"type": "bar", "x": ["a", "b", "c"], "y": [1.0, 2.0, -1.0]}
    picture = ElementTree.fromstring(
        static_svg.svg({"data": [bars], "layout": {"height": 300}}, "bars")
    )
    drawn = [(float(b.get("y")), float(b.get("height"))) for b in picture.iter(f"{SVG}rect")]
    one, two, minus = (height for _, height in drawn)
    assert two == pytest.approx(2 * one, abs=0.3)
    assert minus == pytest.approx(one, abs=0.3)
    assert drawn[0][0] + one == pytest.approx(drawn[2][0], abs=0.2)  # zero


CELLS = [
    "from qtha_lab.widgets import CircuitExplorer\nCircuitExplorer(n_qubits=2)",
    "from qtha_lab.figures import seed_spread\nseed_spread({'lora': [4.0, 4.2]})",
    "from qtha_lab.widgets import Workbench\nWorkbench()",
]


@pytest.mark.slow
def test_a_page_made_of_a_notebook_shows_pictures_where_no_widget_lives(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    notebook.metadata.pop("widgets", None)  # as JupyterLab saves it, and as GitHub gets it
    page, _ = HTMLExporter().from_notebook_node(notebook)
    packed = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    pictures = "".join(base64.b64decode(picture).decode() for picture in packed)
    assert "<title>2 qubits: " in pictures
    assert ">basis state</text>" in pictures
    assert "<title>Evaluation loss" in pictures
    assert "<h3>Workbench</h3>" in page
    assert "VBox(" not in page
    assert "FigureWidget" not in page
    figure = notebook.cells[1].outputs[0].data
    assert figure["text/plain"].startswith("Evaluation loss")
    assert figure["image/svg+xml"].startswith("<svg ")
