"""The registered study as a page and a PDF: question, method, claims, results.

    python -m tools.paper           writes docs/results/paper.md
    python -m tools.paper --pdf     prints docs/paper.md to out/paper.pdf with Chromium

Results are generated from data/results; what has none is stated as not run, with its forecast.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import markdown

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import show
from qtha_lab.experiment import Comparison
from qtha_lab.studies.comparison.claims import Claim, claims
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.contenders import Conditions
from qtha_lab.studies.comparison.row_losses import read_items
from tools.measurements import FILES, PACKED, PAGES, RESULTS, ROOT, SMALL, unpack
from tools.registered import registered
from tools.verdicts import without_circuit

PAPER, PDF = ROOT / "docs" / "paper.md", ROOT / "out" / "paper.pdf"
MOST_PAGES = 8
LINEAR = "qtha_gradient(r=4,middle=linear)"
CIRCUIT = "the same without its circuit"
STUDY = {  # measurement, and the method that its claims subtract at each rate; "" is own rates
    "parts-smollm2-qa": LINEAR,
    "parts-smollm2-definitions": LINEAR,
    "qubits-smollm2-qa": CIRCUIT,
    "published-smollm2-qa": SMALL,
    "published-smollm2-definitions": SMALL,
    "sealed-smollm2-definitions": SMALL,
    "confirm-shared-smollm2": "",
    "confirm-long": "",
    "fair-lora": "",
}
STYLE = """body{font:10pt/1.35 serif;max-width:18cm;margin:auto}table{border-collapse:collapse;
font-size:7.5pt}td,th{border-bottom:.5px solid #999;padding:1px 4px;text-align:left}img{width:100%}
h2{font-size:12pt;margin:.8em 0 .2em}h3{font-size:10.5pt;margin:.6em 0 .2em}
code{font-size:7.5pt}@page{size:A4;margin:1.7cm}"""


def results() -> str:
    """Return the registered claims and their results as Markdown."""
    hours = {of.name: of.hours for of in registered()}
    lines: list[str] = ["`python -m tools.paper`", ""]
    for name in STUDY:
        lines += [f"### {name}", "", registration(name), ""]
        if not (RESULTS / name).exists():
            lines += [f"**Not run**; forecast {hours[name]:.1f} hours on one core.", ""]
            continue
        lines += ["| claim | conditions | difference | verdict |", "|---|---|---|---|"]
        with tempfile.TemporaryDirectory() as folder:
            unpack(RESULTS / name / PACKED, Path(folder) / name)
            lines += [*rows(name, Compared.of(Path(folder) / name)), ""]
    return "\n".join(lines)


def registration(name: str) -> str:
    """Return the question and claims of a registered file, as written before its runs."""
    text = (FILES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line[1:].strip() for line in text if line.startswith("#")]
    words = [line for line in comments if not line.startswith("qtha-lab compare")]
    question = " ".join(words).removeprefix("Registered before its runs: ")
    return question[0].upper() + question[1:]


def rows(name: str, compared: Compared) -> Iterator[str]:
    """Yield a row per claim, at each shared rate or each method at its own."""
    reference, items = STUDY.get(name, ""), read_items(compared.runs.values())
    of = compared.comparison
    rates = sorted({*compared.frame["learning_rate"]}) if reference else [None]
    for rate in rates:
        runs = compared.frame
        runs = runs if rate is None else runs[runs["learning_rate"].eq(rate)]
        pairs = {runs["model_task"].iloc[0]: _pairs(reference, compared)}
        at = of if rate is None else of.replace(learning_rates=[rate], tuning=None)
        for claim in claims(runs, pairs, items, margin=of.margin):
            yield row(at, claim, "" if rate is None else f" of {rate:g}")


def _pairs(reference: str, compared: Compared) -> list[tuple[str, str]]:
    """Return the pairs of labels that a measurement compares."""
    if reference == CIRCUIT:
        return without_circuit(compared)
    first = reference or compared.families[0]
    return [(label, first) for label in compared.families if label != first]


def row(comparison: Comparison, claim: Claim, rate: str) -> str:
    """Return a table row of one claim, with all its conditions."""
    of, plain = claim.difference, claim.plain()
    conditions = Conditions.of(comparison, plain).sentence
    conditions = conditions.replace("one shared rate", f"one shared rate{rate}")
    interval = f"{of.mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"
    return f"| `{claim.first}` − `{claim.second}` | {conditions} | {interval} | {of.verdict} |"


def print_pdf(out: Path = PDF) -> int:
    """Print the paper with Chromium, and return its number of pages.

    Raises:
        Refusal: If no browser is found, or the paper is longer than `MOST_PAGES`.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        raise Refusal("Chromium must be installed to print the paper: apt install chromium.")
    text = re.sub(r'--8<-- "(.+)"', lambda found: (ROOT / found[1]).read_text("utf-8"), _body())
    html = markdown.markdown(text, extensions=["tables"])
    with tempfile.TemporaryDirectory(dir=PAPER.parent) as folder:
        page = Path(folder) / "paper.html"
        base = f'<meta charset="utf-8"><base href="{PAPER.parent.as_uri()}/">'
        page.write_text(f"<html>{base}<style>{STYLE}</style>{html}</html>", encoding="utf-8")
        out.parent.mkdir(parents=True, exist_ok=True)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        subprocess.run(
            [browser, *flags, f"--user-data-dir={folder}/profile", f"--print-to-pdf={out}", page],
            check=True,
            capture_output=True,
        )
    pages = len(re.findall(rb"/Type\s*/Page\b", out.read_bytes()))
    if pages > MOST_PAGES:
        raise Refusal(f"The paper must have at most {MOST_PAGES} pages, got {pages}.")
    return pages


def _body() -> str:
    return PAPER.read_text(encoding="utf-8")


def main() -> int:
    """Write the results, or print the PDF."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pdf", action="store_true", help="print docs/paper.md")
    if not parser.parse_args().pdf:
        (PAGES / "paper.md").write_text(results(), encoding="utf-8")
        return 0
    try:
        show(f"{PDF.relative_to(ROOT)}: {print_pdf()} pages")
    except Refusal as refused:
        show(str(refused))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
