"""Pictures as files: the same bytes twice, the words inside, nothing cut off or covered at paper
size.

Needs a Chromium; where there is none, only what needs none is tested (see the contract).
"""

import io
import itertools
import re
import struct
import subprocess
import zlib
from xml.etree import ElementTree

import pytest
from support.preloaded import PYTHON
from support.refusals import refused

from qtha_lab.circuits.ansatze import build
from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.figures.circuit_diagram import circuit_diagram
from qtha_lab.figures.forest import forest
from qtha_lab.figures.loss_curves import loss_curves
from qtha_lab.figures.machinery import provenance
from qtha_lab.figures.machinery.export import export_figure, find_browser, render
from qtha_lab.figures.machinery.figure import figure_functions
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.provenance import Provenance
from qtha_lab.figures.mpo_diagram import mpo_diagram
from qtha_lab.figures.parallel_coordinates import parallel_coordinates
from qtha_lab.figures.pareto import pareto
from qtha_lab.figures.rank_by_layer import rank_by_layer
from qtha_lab.figures.seed_spread import seed_spread

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine"),
]
FUNCTIONS = {one.name: one for one in figure_functions()}
ORIGIN = Provenance(runs=["run-one", "run-zwö"], commits=["0123abc"], versions={"plotly": "7"})
SVG = "{http://www.w3.org/2000/svg}"


def written(tmp_path, form, name="pareto", **options):
    figure = FUNCTIONS[name].example()
    path = export_figure(figure, tmp_path / f"figure.{form}", origin=ORIGIN, **options)
    return figure, path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
@pytest.mark.parametrize("name", ["rank_by_layer", "spectrum_over_training", "circuit_diagram"])
def test_a_picture_written_twice_is_the_same_file(tmp_path, form, name):
    assert written(tmp_path, form, name)[1] == written(tmp_path, form, name)[1]


@pytest.mark.slow
def test_another_process_writes_the_same_pdf_and_page(tmp_path):
    code = (
        "import sys; from qtha_lab.figures.machinery.export import export_figure\n"
        "from qtha_lab.figures.machinery.figure import figure_functions\n"
        "figure = {f.name: f for f in figure_functions()}['pareto'].example()\n"
        "[export_figure(figure, f'{sys.argv[1]}/b.{form}') for form in ('pdf', 'svg', 'html')]"
    )
    subprocess.run([*PYTHON, "-c", code, str(tmp_path)], check=True)
    for form in ("pdf", "svg", "html"):
        path = export_figure(FUNCTIONS["pareto"].example(), tmp_path / f"a.{form}")
        assert path.read_bytes() == (tmp_path / f"b.{form}").read_bytes()
    assert '"showSendToCloud": false' in path.read_text()  # plotly's own button for its servers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "inches"), [("one-column", 3.5), ("two-column", 7.16), ("poster", 14)]
)
def test_a_pdf_has_the_size_of_the_target_and_vector_text(tmp_path, target, inches):
    _, data = written(tmp_path, "pdf", target=target)
    width = float(re.search(rb"/MediaBox \[0 0 ([\d.]+)", data)[1])
    assert width == pytest.approx(72 * inches, abs=1)
    assert b"/Font" in data
    assert b"/Subtype /Image" not in data


@pytest.mark.slow
def test_a_pdf_holds_runs_commit_and_versions_and_no_time(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    figure, data = written(tmp_path, "pdf")
    number = re.findall(rb"/Info (\d+) 0 R", data)[-1]
    start = int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    assert data[start:].startswith(b"xref")
    offset = int(re.search(rb"\n%s 1\n(\d{10}) 00000 n" % number, data[start:])[1])
    info = data[offset : data.index(b"endobj", offset)]
    assert info.startswith(number + b" 0 obj")
    assert "run-one, run-zwö".encode("utf-16-be").hex().upper().encode() in info
    assert b"/QthaLabCommit (0123abc)" in info
    assert b"/QthaLabVersions (plotly 7)" in info
    assert b"Date" not in info
    assert set(re.findall(rb"D:(\d{14})", data)) <= {b"19700101000000"}
    assert figure.alt.encode() in info.replace(b"\\", b"")


@pytest.mark.slow
def test_dates_of_a_pdf_are_those_of_source_date_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")  # one day after 1 January 1970
    assert b"/CreationDate (D:19700102000000+00'00')" in written(tmp_path, "pdf")[1]


@pytest.mark.slow
def test_an_svg_is_well_formed_and_speaks(tmp_path):
    figure, data = written(tmp_path, "svg")
    root = ElementTree.fromstring(data)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}desc").text == figure.alt
    assert "run-one, run-zwö" in root.find(f"{SVG}metadata").text
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len(set(ids)) == len(ids)
    used = set(re.findall(rb"""url\(['"]?#([^'")]+)""", data.replace(b"&quot;", b'"')))
    assert {u.decode() for u in used} <= set(ids)


def test_a_png_has_300_dots_an_inch_and_its_words(tmp_path):
    figure, data = written(tmp_path, "png")
    width = struct.unpack(">I", data[16:20])[0]
    assert width == 3.5 * 300
    words, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + content
        )
        if kind == b"iTXt":
            key, text = content.split(b"\0\0\0\0\0", 1)
            words[key.decode()] = text.decode()
        if kind == b"pHYs":
            assert struct.unpack(">IIB", content) == (11811, 11811, 1)  # 300 / 0.0254 a metre
        at += 12 + length
    assert words["Description"] == figure.alt
    assert words["qtha-lab runs"] == "run-one, run-zwö"


@pytest.mark.slow
def test_a_pdf_shows_the_whole_figure_without_a_margin_of_the_printer(tmp_path):
    import pypdf

    title = "trainable parameters, log scale"
    svg = written(tmp_path, "svg")[1].decode()
    across, down = (
        float(re.search(rf'<text[^>]*\b{c}="([\d.]+)"[^>]*>{title}', svg)[1]) for c in "xy"
    )
    _, data = written(tmp_path, "pdf")
    page = pypdf.PdfReader(io.BytesIO(data)).pages[0]
    places = []
    page.extract_text(visitor_text=lambda text, cm, tm, *_: places.append((text, cm, tm)))
    _, cm, tm = next(place for place in places if title in place[0])
    y = cm[1] * tm[4] + cm[3] * tm[5] + cm[5]
    assert float(page.mediabox.height) - y == pytest.approx(0.75 * down, abs=1)  # points of pixels
    assert 0 < across < 4 / 3 * float(page.mediabox.width)


def test_a_pdf_without_a_classic_trailer_is_refused():
    with refused("The PDF", rule="has no classic trailer"):
        provenance.into_pdf(b"%PDF-1.5\nstartxref\n9\n%%EOF", {})


# In a browser: every text that is drawn, and what the legend and the plots cover.
MEASURE = """() => {
    const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
    const all = q => [...document.querySelectorAll(q)];
    const texts = all('svg text').filter(e => e.textContent.trim()).map(e => [e.textContent, box(e)]);
    return {page: box(document.querySelector('svg')), texts,
            plots: ['gridlayer', 'overplot'].map(name => all('svg g.' + name).map(box)
                .filter(b => b[3] > b[1])).find(boxes => boxes.length) || [],  // a figure may have no grid
            entries: all('svg g.legend text').map(box)};
}"""


def overlap(a, b) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return min(across, down)


@pytest.fixture(scope="module")
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=find_browser(), args=flags)
        yield browser.new_page(viewport={"width": 1500, "height": 1500})
        browser.close()


LONG = [
    f"qtha(r={r},waist=64,bond_dim=4,n_layers=2,init=balanced,use_circuit=false)" for r in (2, 4, 8)
]
SETTINGS = ("learning_rate", "r", "alpha", "bond_dim", "n_layers", "waist", "batch_size")
LAYERS = [f"model.layers.{n}.self_attn.{p}_proj" for n in range(30) for p in "qv"]
FIGURES = {name: one.example() for name, one in FUNCTIONS.items()} | {
    "many layers": rank_by_layer({label: dict.fromkeys(LAYERS, 3.0) for label in LONG}),
    "long names": pareto(
        [{"label": n, "cost": 7000 + k, "quality": 4.0 + k} for k, n in enumerate(LONG)]
    ),
    "long names in curves": loss_curves(
        {"label": n, "seed": 0, "kind": "eval", "steps": [0, 5], "values": [4.0, 3.0]} for n in LONG
    ),
    "long names in seeds": seed_spread({label: [4.0, 4.1] for label in LONG}),
    "ten qubits": circuit_diagram(10, gate_rows(build("qtha", n_qubits=10, n_layers=1))),
    "turns of three angles": circuit_diagram(3, gate_rows(build("strongly_entangling", 3, 2))),
    "eight cores": mpo_diagram((8,) * 8, (4,) * 8, (128,) * 7, (1.25,) * 7),
    "eight methods": pareto(
        [
            {"label": f"qtha(stand_in={n})", "cost": 5900 * 1.3**k, "quality": 4.0 + k / 99}
            for k, n in enumerate(
                ("bias", "silu", "cosine", "hilbert", "none", "two", "three", "four")
            )
        ]
    ),
    "differences of eight methods": forest(
        [
            {
                "label": f"qtha_gradient(middle={n})",
                "mean": 0.1,
                "low": -0.1,
                "high": 0.3,
                "verdict": "inconclusive",
            }
            for n in ("linear", "bias", "none", "circuit", "two", "three", "four")
        ],
        reference="lora(r=2,alpha=4)",
    ),
    "seven settings": parallel_coordinates(
        [
            {
                "id": str(k),
                "label": "qtha",
                "values": dict.fromkeys(SETTINGS, k) | {"eval_loss": 4.0 + k},
            }
            for k in range(3)
        ],
        SETTINGS,
    ),
    "large numbers": pareto(
        [{"label": "a", "cost": 1e6, "quality": 4.0}, {"label": "b", "cost": 7e10, "quality": 3.0}]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["one-column", "two-column", "beamer"])
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("legend", ["above", "below"])
def test_no_label_is_cut_off_or_covered_and_no_legend_covers_a_plot(page, name, target, legend):
    figure = FIGURES[name].at(PageStyle("light", target, legend=legend))
    page.set_content(f"<body style='margin:0'>{render(figure, 'svg').decode()}</body>")
    seen = page.evaluate(MEASURE)
    left, top, right, bottom = seen["page"]
    assert seen["texts"]
    for text, (x0, y0, x1, y1) in seen["texts"]:
        inside = x0 >= left - 1 and y0 >= top - 1 and x1 <= right + 1 and y1 <= bottom + 1
        assert inside, f"{text!r} leaves the page"
    for (one, here), (other, there) in itertools.combinations(seen["texts"], 2):
        assert overlap(here, there) < 3, f"{one!r} and {other!r} lie on each other"
    assert seen["plots"] or not seen["entries"]
    for entry, plot in itertools.product(seen["entries"], seen["plots"]):
        assert overlap(entry, plot) < 1
