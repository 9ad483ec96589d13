"""Figures as a paper wants them: names, fonts, legends and dashes, tables, and the panel."""

import asyncio
import io
import itertools

import pytest
from support.refusals import refused

from qtha_lab.figures.loss_against_rate import loss_against_rate
from qtha_lab.figures.loss_curves import loss_curves
from qtha_lab.figures.machinery import export
from qtha_lab.figures.machinery.export import export_figure
from qtha_lab.figures.machinery.figure import figure_functions
from qtha_lab.figures.machinery.legends import dashes_of, labels_in, short_names
from qtha_lab.figures.machinery.page_style import MOST_LEGEND, PageStyle
from qtha_lab.figures.run_history import run_history
from qtha_lab.figures.seed_spread import seed_spread
from widgets.figures.saving import SaveFigure

FUNCTIONS = {one.name: one for one in figure_functions()}
RATES = [
    {
        "label": f"lora(r={r},learning_rate=0.01)",
        "seed": 0,
        "learning_rate": rate,
        "value": 4.0 + r / 10,
    }
    for r in (2, 4, 8)
    for rate in (0.01, 0.1)
]


# ---- names, legends, dashes
# ---------------------------------------------------------------------------------


def test_names_lose_what_all_of_a_method_have_alike():
    labels = ["lora(r=2,alpha=4)", "lora(r=8,alpha=4)", "qtha(r=4,waist=16)", "mean of all"]
    assert list(short_names(labels).values()) == ["lora(r=2)", "lora(r=8)", "qtha", "mean of all"]


def test_dashes_are_short_beside_the_data():
    for dash in ("dash", "dashdot", "longdash", "longdashdot", "dot"):
        lengths = [float(part.removesuffix("px")) for part in dashes_of(1.2, dash).split(",")]
        assert max(lengths) < 9
        assert sum(lengths) < 13
    drawn = run_history(FUNCTIONS["run_history"].arguments()["lines"]).at(
        PageStyle(target="one-column")
    )
    assert all("px" in trace.line.dash for trace in drawn.data if trace.line.width)


def curves(labels):
    return run_history(
        {"label": label, "seed": 0, "x": [0, 1, 2], "y": [5.0, 4.5, 4.0 + place / 50]}
        for place, label in enumerate(labels)
    )


def test_a_legend_that_would_take_too_much_goes_to_the_ends_of_the_lines():
    few, many = curves(["lora", "qtha"]), curves([f"qtha(r={r})" for r in range(9)])
    page_style = PageStyle(target="one-column", legend="auto")
    below = few.at(page_style).layout
    assert below.showlegend
    assert below.legend.yanchor == "bottom"
    assert (below.margin.b - 2.6 * page_style.font) / below.height < MOST_LEGEND
    drawn = many.at(page_style)
    assert drawn.layout.showlegend is False
    assert [note.text for note in drawn.layout.annotations] == [f"qtha(r={r})" for r in range(9)]
    plot = drawn.layout.height - 5 * page_style.font
    low, high = 4.0, 5.0
    places = sorted((n.y - low) / (high - low) * plot + n.yshift for n in drawn.layout.annotations)
    assert min(b - a for a, b in itertools.pairwise(places)) >= 1.1 * page_style.font


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("target", ["one-column", "two-column", "beamer"])
def test_no_legend_takes_more_than_a_fifth_of_the_height(name, target):
    page_style = PageStyle(target=target, legend="auto")
    layout = FUNCTIONS[name].example().at(page_style).layout
    if layout.showlegend and layout.legend.yanchor:
        assert (layout.margin.b - 2.6 * page_style.font) / layout.height < 0.2


def test_names_stay_in_the_legend_where_lines_end_in_the_middle():
    lines = [{"label": f"lora(r={r})", "seed": 0, "x": [0, r], "y": [5.0, 4.0]} for r in (2, 4, 8)]
    drawn = run_history(lines).at(PageStyle(target="one-column", legend="ends"))
    assert drawn.layout.showlegend
    assert drawn.layout.annotations == ()


def test_a_name_of_its_own_stands_wherever_the_label_did():
    page_style = PageStyle(target="one-column", names=(("lora", "Low rank"),))
    assert "Low rank" in labels_in(curves(["lora", "qtha"]).at(page_style))
    assert "Low rank" in labels_in(
        loss_curves(
            [{"label": "lora", "seed": 0, "kind": "eval", "steps": [0, 1], "values": [2, 1]}]
        ).at(page_style)
    )
    notes = seed_spread({"lora": [4.0]}).at(page_style).layout.annotations
    assert [note.text for note in notes] == ["Low rank"]


def test_font_and_width_are_those_asked_for_and_others_are_refused():
    page_style = PageStyle(target="one-column", family="Times", points=10, inches=5)
    drawn = curves(["lora"]).at(page_style)
    font = drawn.layout.template.layout.font
    assert (font.family, font.size, drawn.layout.width) == ("Times", pytest.approx(40 / 3), 480)
    with refused("points", "100"):
        PageStyle(points=100)
    with refused("legend", "'left'"):
        PageStyle(legend="left")


# ---- files
# --------------------------------------------------------------------------------------------------


def test_a_table_is_written_as_csv_latex_and_markdown(tmp_path):
    texts = {
        form: export_figure(curves(["lora|x"]), tmp_path / f"t.{form}").read_text()
        for form in ("csv", "tex", "md")
    }
    assert texts["csv"].splitlines()[1] == "lora|x,0,0,5.0,5.0"
    assert r"\toprule" in texts["tex"]
    rows = texts["md"].splitlines()
    assert rows[0] == "| method | seed | step | train loss (nats) | smoothed |"
    assert rows[2].startswith(r"| lora\|x | 0 |")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pdf", "svg"])
@pytest.mark.browser
@pytest.mark.skipif(export.find_browser() is None, reason="no Chromium on this machine")
def test_a_picture_has_one_title_and_the_names_that_were_chosen(form, tmp_path):
    import pypdf

    page_style = PageStyle(target="one-column", names=(("lora", "Low rank"),), legend="below")
    figure = curves(["lora", "qtha"])
    data = export_figure(figure, tmp_path / f"a.{form}", page_style=page_style).read_bytes()
    assert b"Kaleido-fier" not in data
    if form == "pdf":
        reader = pypdf.PdfReader(io.BytesIO(data))
        assert reader.metadata.title == figure.title
        assert data.count(b"/Title") == 1
        assert "Low rank" in reader.pages[0].extract_text()
        assert float(reader.pages[0].mediabox.width) == pytest.approx(252, abs=1)
    else:
        assert b"Low rank" in data
    export_figure(figure, tmp_path / f"b.{form}", page_style=page_style)
    assert export._start.cache_info().misses == 1  # one browser for all of them


# ---- the panel
# ------------------------------------------------------------------------------------------------


def test_the_panel_offers_the_names_of_the_legend_and_writes_what_was_chosen(tmp_path):
    figure = loss_against_rate(RATES)
    save = SaveFigure(lambda: {"view": figure}, tmp_path)
    names = [field.description for field in save.fields.children]
    assert names == [f"lora(r={r},learning_rate=0.01)" for r in (2, 4, 8)]
    save.offer_names(short=True)
    assert [field.value for field in save.fields.children] == [
        "lora(r=2)",
        "lora(r=4)",
        "lora(r=8)",
    ]
    save.fields.children[0].value = "rank two"
    save.form.value, save.target.value = "html", "two-column"
    assert save.points.value == 8.0
    asyncio.run(save.save())
    page = (tmp_path / "eval_loss_by_rate.html").read_text()
    assert '"name":"rank two"' in page
    assert 'download="eval_loss_by_rate.html"' in save.done.value
    asyncio.run(save.save())
    assert (tmp_path / "eval_loss_by_rate-2.html").exists()


def test_what_a_person_wrote_stays_when_the_figure_grows(tmp_path):
    figures = {"view": curves(["lora"])}
    save = SaveFigure(lambda: figures, tmp_path)
    save.fields.children[0].value = "Low rank"
    figures["view"] = curves(["lora", "qtha"])
    save.offer()
    assert [field.value for field in save.fields.children] == ["Low rank", "qtha"]
