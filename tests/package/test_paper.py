"""The registered study: each claim has its result or its forecast, and the print fits its pages."""

import json
import re

import pytest

from tools import paper
from tools.measurements import CLAIMS, RESULTS

PAGE = (paper.PAGES / "paper.md").read_text()


@pytest.mark.parametrize("name", paper.STUDY)
def test_a_registered_measurement_has_its_claims_or_is_said_not_to_have_run(name):
    part = PAGE.split(f"### {name}\n")[1].split("\n### ")[0]
    assert paper.registration(name) in part
    is_run = (RESULTS / name).exists()
    assert ("**Not run**; forecast" in part) is not is_run
    assert ("| claim | conditions | difference | verdict |" in part) is is_run


def test_a_claim_at_one_rate_has_the_numbers_of_its_record():
    [claim] = json.loads((RESULTS / "sealed-smollm2-definitions" / CLAIMS).read_text())["claims"]
    part = PAGE.split("### sealed-smollm2-definitions\n")[1]
    numbers = re.search(r"([+-]\d\.\d{3}) \[([+-]\d\.\d{3}), ([+-]\d\.\d{3})\] \| shown", part)
    assert numbers
    assert [*numbers.groups()] == [f"{claim[end]:+.3f}" for end in ("mean", "low", "high")]


@pytest.mark.slow
def test_the_print_has_at_most_eight_pages(tmp_path):
    assert 1 <= paper.print_pdf(tmp_path / "paper.pdf") <= 8
