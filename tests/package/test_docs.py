"""The Python of the pages runs, and their commands start."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.command_line import call

from qtha_lab.reproductions.machinery.listing import recorded_verdict

ROOT = Path(__file__).parents[2]
HOW_TO = sorted((ROOT / "docs" / "howto").glob("*.md"))
TWENTY = [
    {
        "question": f"What is {n}?",
        "answer": f"It is {n}.",
        "frage": f"Was ist {n}?",
        "antwort": str(n),
    }
    for n in range(20)
]

pytestmark = pytest.mark.usefixtures("no_plugin_stays")


def fences(page: Path, language: str) -> list[str]:
    """The pieces of code of one language that a page shows."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def commands(page: Path) -> list[list[str]]:
    """The words of each `qtha-lab` command of a page, without that first one."""
    lines = "".join(fences(page, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("qtha-lab ")]


@pytest.fixture
def beside_examples(tmp_path, monkeypatch):
    """A folder of its own with the examples, files of data and a model, as a reader has them."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "my_data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in TWENTY))
    with (tmp_path / "my_data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(TWENTY[0]))
        writer.writeheader()
        writer.writerows(TWENTY)
    pairs = [{"prompt": q["question"], "chosen": q["answer"], "rejected": "No."} for q in TWENTY]
    (tmp_path / "pairs.jsonl").write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    (tmp_path / "my_model").symlink_to(ROOT / "data" / "models" / "tiny")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in HOW_TO if fences(p, "python")], ids=lambda p: p.stem)
def test_the_python_of_a_how_to_page_runs_as_it_stands(page, beside_examples):
    scope: dict = {}
    for source in fences(page, "python"):
        exec(compile(source, str(page), "exec"), scope)


UPSTREAM = ROOT / "docs" / "upstream.md"
REPORTED = list(zip(fences(UPSTREAM, "python"), fences(UPSTREAM, "text"), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("source", "printed"), REPORTED, ids=range(len(REPORTED)))
def test_the_reproduction_of_an_upstream_issue_still_prints_its_line(source, printed, tmp_path):
    (tmp_path / "reproduce.py").write_text(source)
    ran = subprocess.run(
        [sys.executable, "reproduce.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert printed.strip() in ran.stdout


STARTED = [
    pytest.param(words, id=f"{page.stem} {words[-1]}")
    for page in [*HOW_TO, ROOT / "README.md", ROOT / "docs" / "tour.md"]
    for words in commands(page)
    if words[0] in ("compare", "run") and not words[1].endswith(".yaml")
]


@pytest.mark.slow
@pytest.mark.parametrize("words", STARTED)
def test_the_commands_of_a_page_pass_every_check_that_comes_before_a_run(words, beside_examples):
    answer = call(*words, "--dry-run")
    assert answer.exit_code == 0, answer.output


def test_methods_ansatze_tasks_and_figures_have_a_page_and_every_example_is_shown():
    shown = "".join(page.read_text() for page in HOW_TO)
    for kind in ("method", "ansatz", "task", "figure"):
        assert f"own_{kind}.md" in [page.name for page in HOW_TO]
    for example in sorted((ROOT / "examples").glob("*.py")):
        assert f'--8<-- "examples/{example.name}"' in shown


def test_every_picture_of_the_how_to_pages_is_shown_and_small():
    shown = "".join(page.read_text() for page in (*HOW_TO, ROOT / "README.md"))
    pictures = sorted((ROOT / "docs" / "howto" / "pictures").iterdir())
    assert pictures
    assert [p.name for p in pictures if f"pictures/{p.name})" not in shown] == []
    assert [p.name for p in pictures if p.stat().st_size > 150_000] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


INTERVAL = re.compile(r"([+−-]?\d\.\d+) (?:nat |\| )?\[([+−-]?\d\.\d+), ([+−-]?\d\.\d+)\]")


def intervals(text: str) -> set[tuple[float, ...]]:
    """Every difference with its interval, to three decimals."""
    found = INTERVAL.findall(text.replace("−", "-"))
    return {tuple(round(float(number), 3) for number in three) for three in found}


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_every_interval_that_a_front_page_states_was_measured(page):
    tables = [file.read_text() for file in (ROOT / "docs" / "results").glob("*.md")]
    verdicts = [claim["difference"] for claim in recorded_verdict("qtha")["claims"]]
    measured = intervals("\n".join(tables)) | {
        tuple(round(claim[name], 3) for name in ("mean", "low", "high")) for claim in verdicts
    }
    stated = intervals((ROOT / page).read_text())
    assert len(stated) >= 5
    assert stated - measured == set()


def test_percentages_of_training_loss_on_the_page_of_results_are_those_of_one_rate():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "results" / "one-rate.md").read_text().splitlines()
        if line.startswith("|")
    ]
    headers = {}
    percent = {}
    for row in rows:
        headers = dict(enumerate(row)) if row[0] == "where" else headers
        if row[0] in ("SmolLM2, qa", "SmolLM2, definitions") and row[1] == "0.0003":
            for place, cell in enumerate(row[2:], 2):
                name = re.sub(r" \(\d+%\)", "", headers[place])
                percent.setdefault(name, []).append(-float(cell.split("; ")[1].strip("%")))
    page = (ROOT / "docs" / "results.md").read_text()
    patterns = {
        "gradient-aware QTHA − LoRA r = 2": r"SmolLM2 is (\d+) to (\d+) % below that of LoRA r = 2",
        "the same without its circuit − LoRA r = 2": r"without it is (\d+) to (\d+) % below",
        "LoRA r = 8 − LoRA r = 2": r"LoRA r = 8 at that rate is (\d+) to (\d+) % below",
        "balanced QTHA − LoRA r = 2": r"Balanced QTHA, .* is (\d+) to (\d+) % below",
    }
    for name, pattern in patterns.items():
        stated = re.search(pattern, page)
        assert stated is not None, name
        ends = min(percent[name]), max(percent[name])
        assert tuple(map(int, stated.groups())) == tuple(map(round, ends)), name


def test_the_page_of_results_is_short_and_begins_with_verdicts():
    lines = (ROOT / "docs" / "results.md").read_text().splitlines()
    assert len(lines) <= 200
    assert next(line for line in lines if line.startswith("## ")) == "## Verdicts"


@pytest.mark.slow
def test_the_other_python_of_the_front_pages_runs_as_it_stands_but_for_fewer_steps(beside_examples):
    first, *others = fences(ROOT / "README.md", "python")
    assert fences(ROOT / "docs" / "tour.md", "python") == [first]
    short = first.replace("Experiment(", 'Experiment(training={"steps": 2, "generate_rows": 2}, ')
    scope: dict = {}
    for source in [short, *others]:
        if "@ansatz" not in source:
            exec(compile(source, "README.md", "exec"), scope)
    assert scope["run"].status().state == "finished"


def test_the_glossary_has_at_most_25_terms_of_its_own_and_those_of_the_field():
    text = (ROOT / "docs" / "glossary.md").read_text()
    own, field = (
        [word.lower() for word in re.findall(r"^\*\*(.+?)\*\*.*\n:   \S", part, re.M)]
        for part in text.split("## Terms of the field")
    )
    assert own == sorted(own)
    assert field == sorted(field)
    assert len(own) <= 25
    assert not {*own} & {*field}
    basics = "qubit gate token nat perplexity expressibility barren\xa0plateau shots rank"
    assert {word.replace("\xa0", " ") for word in basics.split(" ")} <= {*field}


def pages_of(nav) -> list[tuple[str, str]]:
    """The title and the path of every page that the navigation names with a title."""
    pages = []
    for entry in nav:
        for title, target in entry.items() if isinstance(entry, dict) else ():
            pages += pages_of(target) if isinstance(target, list) else [(title, target)]
    return pages


def test_titles_of_pages_are_those_of_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    titles = {path: title for title, path in pages_of(nav) if path != "index.md"}
    assert len(titles) > 30
    wrong = {}
    for path, title in titles.items():
        text = (ROOT / "docs" / path).read_text()
        if included := re.match(r'--8<-- "(.+?)"', text):
            text = (ROOT / included[1]).read_text()
        if (heading := re.search(r"^# (.+)$", text, re.M)[1].replace("`", "")) != title:
            wrong[path] = heading
    assert wrong == {}


def test_links_of_pages_lead_to_files_of_the_site():
    docs = ROOT / "docs"
    pages = [*docs.glob("*.md"), *HOW_TO, *(docs / "lessons").glob("*.md")]
    included = [page.read_text() for page in (docs / "results").glob("*.md")]
    wrong = [link for text in included for link in re.findall(r"\]\((?!https?:)[^)]+\)", text)]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
            file = (page.parent / target).resolve()
            lesson = ROOT / "notebooks" / file.name
            if "results" in file.parts or not (file.exists() or lesson.exists()):
                wrong.append(f"{page.name}: {target}")
    assert wrong == []


def test_the_page_on_architecture_names_every_room():
    rows = re.findall(r"^\| (`.+?) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    named = re.findall(r"`(\w+)`", " ".join(rows))
    files = {path.stem for path in (ROOT / "qtha_lab").glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in (ROOT / "qtha_lab").glob("*/__init__.py")}
    rooms = files | folders | {"widgets"}
    assert sorted(named) == sorted(rooms)
