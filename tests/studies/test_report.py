"""A comparison's report.

Every section stands, what is missing is said, and the three files agree with the summary.
"""

import json
import re
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from support.command_line import call
from support.refusals import refused
from support.run_folders import COMPARED, compared, run_folder, write

from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison import Report
from qtha_lab.studies.comparison import report as write_report
from qtha_lab.studies.comparison.results_of_runs import summarise_runs

SECTIONS = ["verdicts", "rates", "differences", "parts", "why", "fronts", "trials", "measured"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole comparison with its report."""
    folder = compared(tmp_path_factory.mktemp("report"))
    write_report(folder)
    return folder


class Page(HTMLParser):
    """Collect a page's links, headings, and titles of tables and pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references, self.headings, self.sections = [], [], []
        self.counts = dict.fromkeys(("table", "caption", "svg", "title", "script"), 0)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.references += [
            v for k, v in attrs if k in ("src", "href", "srcset", "xlink:href", "data")
        ]
        if tag in self.counts:
            self.counts[tag] += 1
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "section":
            self.sections.append(dict(attrs)["id"])


def test_a_report_names_the_tuned_method_whose_choice_is_within_the_noise_of_its_trials(tmp_path):
    folder = compared(tmp_path, methods=("lora(r=2)", "lora(r=8)"), rates=(0.01,))
    tuned = Comparison(
        methods="lora(r=2),lora(r=8)", tuning={"axes": {"learning_rate": [0.01, 0.03]}}
    )
    best, near, far = [2.0, 2.1, 2.2], [2.1, 2.0, 2.3], [2.5, 2.6, 2.8]
    contenders = [
        contender.replace(
            point={"learning_rate": 0.01},
            tried={"learning_rate=0.01": best, "learning_rate=0.03": other},
        )
        for contender, other in zip(tuned.contenders(), (near, far), strict=True)
    ]
    (folder / "comparison.yaml").write_text(tuned.to_yaml())
    summary = summarise_runs(tuned, list_runs(folder / "runs"), contenders)
    write_json(folder / "summary.json", summary)
    write_report(folder)
    page = (folder / "report.html").read_text()
    assert "lora(r=2) at learning_rate=0.03 is as good as at learning_rate=0.01" in page
    assert "lora(r=8) at learning_rate=0.03 is as good" not in page


def test_every_section_stands_in_its_order_under_headings_that_skip_no_level(folder):
    page = Page((folder / "report.html").read_text())
    assert page.sections == SECTIONS
    assert page.headings[:2] == [1, 2]
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert page.counts["table"] == page.counts["caption"] > 10
    assert page.counts["svg"] == page.counts["title"] - 1 == 9  # the page has a title too


def test_the_page_asks_nothing_of_another_place(folder):
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.counts["script"] == 0
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    addresses = set(re.findall(r"https?://[^\"'\s<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, which nobody looks up
    assert "@import" not in text
    assert "url(" not in text


def test_the_data_are_those_of_the_summary_and_the_page_says_them(folder):
    data = json.loads((folder / "report.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    assert data["claims"] == summary["claims"]
    assert data["decomposition"] == summary["decomposition"]
    sections = {section["name"]: section for section in data["sections"]}
    verdicts = [claim["sentence"] for claim in summary["claims"]]
    assert sections["verdicts"]["sentences"][:4] == verdicts
    (forest,) = sections["differences"]["figures"]
    rows = [(row[0], row[1]) for row in forest["rows"]]
    assert rows == [(claim["first"], claim["mean"]) for claim in summary["claims"]]
    (curve,) = sections["rates"]["figures"]
    assert len(curve["rows"]) == len(COMPARED) * 3
    costs = [figure["columns"][1] for figure in sections["fronts"]["figures"]]
    assert costs == ["trainable_parameters", "peak_memory_mib", "seconds_per_step", "adapter_kib"]
    text = (folder / "report.html").read_text().replace("<wbr>", "")
    for words in [*verdicts, "e106fba2", "abc123", "2.13.0", "Save as comparison.yaml"]:
        assert words in text


def test_what_repeats_it_is_the_file_of_the_comparison(folder):
    command, file = Report.of(folder)["measured"].listings
    assert command.text == f"qtha-lab compare comparison.yaml --out {folder.name}"
    assert file.text == (folder / "comparison.yaml").read_text()


def test_an_interval_of_a_mean_is_students(folder):
    (figure, *_) = Report.of(folder)["fronts"].figures
    row = dict(zip(figure.table.columns, figure.table.rows[0], strict=True))
    runs = json.loads((folder / "summary.json").read_text())["runs"]
    of_it = [
        r["test_loss"]
        for r in runs
        if r["label"].startswith("lora(r=2,") and r["learning_rate"] == 0.01
    ]
    # t of 97.5 % with two degrees of freedom is 4.3027
    half = 4.3027 * np.std(of_it, ddof=1) / np.sqrt(3)
    assert row["test_loss"] == pytest.approx(np.mean(of_it))
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=1e-4)


def test_the_affine_part_of_a_circuit_is_told_in_words_and_in_the_table(folder):
    section = Report.of(folder)["why"]
    assert "in the mean over blocks: qtha(r=4,waist=16,bond_dim=3) 80 %" in section.sentences[1]
    columns, rows = section.figures[0].table.columns, section.figures[0].table.rows
    assert {row[columns.index("affine_part")] for row in rows} == {0.9, 0.8}


def test_what_is_missing_is_said_where_it_would_stand(tmp_path):
    report = Report.of(compared(tmp_path, ["lora(r=2)", "lora(r=8)"], seeds=[0], rates=[]))
    said = {section.name: " ".join(section.sentences) for section in report.findings}
    assert [*said] == SECTIONS
    assert "an interval needs 3 seeds" in said["verdicts"]
    assert said["rates"].startswith("Not tuned: no setting was chosen among several")
    assert "No claim is made" in said["differences"]
    assert "`qtha+controls`" in said["parts"]
    assert "none of these methods has one" in said["why"]
    assert "No interval is drawn" in said["fronts"]
    assert "no search" in said["trials"]
    assert Page(report.html()).sections == SECTIONS


def test_rates_that_come_from_elsewhere_are_said_to(tmp_path):
    folder = compared(tmp_path, ["lora(r=2)", "lora(r=8)"], rates=[], rates_from="tiny-qa")
    report = Report.of(folder)
    text = json.dumps(report.plain())
    assert "Not tuned: " not in text
    assert "another learning rate may turn" not in text
    (sentence,) = report["rates"].sentences
    assert sentence.startswith("Not tuned here: learning rates were chosen in tiny-qa.")
    (learnt, _) = report["verdicts"].tables.values()
    assert {row[learnt.columns.index("tuning")] for row in learnt.rows} == {"in tiny-qa"}
    assert Comparison.from_yaml(folder / "comparison.yaml").rates_from == "tiny-qa"
    with refused("rates_from", "tiny-qa"):
        Comparison(rates_from="tiny-qa", tuning={"axes": {"learning_rate": [0.01, 0.03]}})


def test_a_comparison_whose_runs_failed_is_reported_all_the_same(tmp_path):
    comparison = Comparison(methods="lora(r=2),lora(r=8)")
    runs = [run_folder(tmp_path / "runs", method=e.method.label) for e in comparison.experiments()]
    for run in runs:
        write(
            run, {"kind": "status", "state": "failed", "step": 0, "message": "no file of that name"}
        )
    (tmp_path / "comparison.yaml").write_text(comparison.to_yaml())
    write_json(tmp_path / "summary.json", summarise_runs(comparison, runs))
    report = write_report(tmp_path)
    assert (
        "1 of 1 runs of lora(r=8) failed (seed 0): no file of that name."
        in report["verdicts"].sentences
    )
    assert report["fronts"].sentences == ["No method has finished: a front needs two."]


@pytest.mark.slow
def test_the_notebook_makes_every_section_and_the_page_again(folder, tmp_path):
    out = tmp_path / "elsewhere"
    answer = call("report", str(folder), "--out", str(out))
    assert answer.exit_code == 0, answer.output
    assert f"in {out / 'report.html'}" in answer.output
    page = (out / "report.html").read_text()
    (out / "report.html").unlink()
    notebook = nbformat.read(out / "report.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(out)}}).execute()
    assert (out / "report.html").read_text() == page
    shown = [
        o.data["text/html"]
        for c in notebook.cells
        for o in c.get("outputs", ())
        if "text/html" in o.get("data", {})
    ]
    assert [re.findall('<section id="([a-z]+)"', text) for text in shown] == [
        [name] for name in SECTIONS
    ]


def test_a_folder_without_a_comparison_gets_a_sentence(tmp_path):
    with refused(value="one without a comparison"):
        write_report(tmp_path)
    (tmp_path / "comparison.yaml").write_text("methods: [lora]\n")
    with refused(rule="no readable summary"):
        write_report(tmp_path)


def test_a_section_or_a_place_that_is_none_is_refused(folder, tmp_path):
    report = Report.of(folder)
    with refused("section", "'rate'", remedy="'rates'"):
        report["rate"]
    (tmp_path / "file").write_text("")
    with refused("out", "the file"):
        report.write(tmp_path / "file")


def test_a_comparison_that_is_run_ends_with_its_report(tmp_path):
    folder = compared(tmp_path, ["lora(r=2)", "lora(r=8)"], seeds=[0], rates=[])
    answer = call("compare", str(folder / "comparison.yaml"), "--out", str(folder))
    assert answer.exit_code == 0, answer.output
    assert f"reported in {folder / 'report.html'}" in answer.output
    assert Page((folder / "report.html").read_text()).sections == SECTIONS
    assert len(list_runs(folder / "runs")) == 2  # both had ended: none was run again


def test_a_comparison_that_is_not_utf8_is_refused_by_its_name(tmp_path):
    write_json(tmp_path / "summary.json", {"runs": [], "notes": []})
    (tmp_path / "comparison.yaml").write_bytes(b"methods: lora \xff\n")
    with refused("comparison.yaml, line 1: the text", "other bytes"):
        write_report(tmp_path)
