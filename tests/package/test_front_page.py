"""README's answer: each sentence has a claim, whose numbers and verdict are those of the runs."""

import re
from pathlib import Path

import pytest

from qtha_lab.reproductions.machinery.listing import recorded_verdict

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
NUMBERS = re.compile(r"[+-]\d+\.\d+")


def sentences() -> list[str]:
    """Sentences of README's answer, without links, up to its picture."""
    text = (ROOT / "README.md").read_text()
    answer = text.split("## Is it quantum?")[1].split("![")[0]
    plain = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", answer)
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(plain.split()))


def rows() -> list[dict[str, str]]:
    """Rows of the table, each with the sentence that it belongs to."""
    head, _, *lines = (RESULTS / "readme.md").read_text().splitlines()
    names = cells(head)
    found: list[dict[str, str]] = []
    for line in lines:
        row = dict(zip(names, cells(line), strict=True))
        found.append(row | {"sentence": row["sentence"] or found[-1]["sentence"]})
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_each_sentence_of_the_answer_has_its_claim():
    assert list(dict.fromkeys(row["sentence"] for row in rows())) == sentences()


MEASURED = [row for row in rows() if row["difference"]]


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row['source']} {row['claim']}"[:60])
def test_a_claim_has_the_numbers_of_its_source(row):
    if row["source"].startswith("reproduce "):
        numbers, word = reproduced(row["source"].removeprefix("reproduce "), row["claim"])
        assert NUMBERS.findall(row["difference"]) == [f"{number:+.3f}" for number in numbers]
    else:
        lines = (RESULTS / f"{row['source']}.md").read_text().splitlines()
        parts = [part.strip() for part in row["claim"].split(" · ")]
        line = next(line for line in lines if holds(line, parts, row["difference"]))
        word = decided(row["difference"]) if row["source"] == "one-rate" else cells(line)[-1]
    assert row["verdict"] == word


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row['source']} {row['claim']}"[:60])
def test_a_claim_states_the_conditions_of_its_runs(row):
    assert " rate" in row["conditions"]
    assert re.search(r"rows|pooled", row["conditions"])
    if row["source"] == "verdicts" and " · " in row["claim"]:
        lines = (RESULTS / "verdicts.md").read_text().splitlines()
        parts = [part.strip() for part in row["claim"].split(" · ")]
        line = next(line for line in lines if holds(line, parts, row["difference"]))
        assert row["conditions"] == cells(line)[2]


def holds(line: str, parts: list[str], difference: str) -> bool:
    mean, low, high = NUMBERS.findall(difference)
    stated = [f"{mean} [{low}, {high}]", f"{mean} | [{low}, {high}]"]
    return all(part in line for part in parts) and any(form in line for form in stated)


def decided(difference: str) -> str:
    _, low, high = map(float, NUMBERS.findall(difference))
    return "inconclusive" if low <= 0 <= high else "shown"


def reproduced(name: str, claim: str) -> tuple[list[float], str]:
    arm, control = claim.split(" − ")
    of = next(
        c for c in recorded_verdict(name)["claims"] if (c["arm"], c["control"]) == (arm, control)
    )
    return [of["difference"][end] for end in ("mean", "low", "high")], of["verdict"]


@pytest.mark.parametrize("row", [row for row in rows() if row["verdict"] == "not run"])
def test_what_is_said_not_to_have_run_is_in_no_measurement(row):
    measurements = [*(ROOT / "data" / "measurements").glob("*smollm2*.yaml")]
    assert measurements
    reported = [f for f in measurements if (ROOT / "data" / "results" / f.stem).exists()]
    assert [file.name for file in reported if row["claim"] in file.read_text()] == []


@pytest.mark.parametrize("row", [row for row in rows() if row["verdict"] == "cited"])
def test_a_cited_paper_is_linked(row):
    assert row["source"].removeprefix("arXiv:") in (ROOT / "README.md").read_text()
