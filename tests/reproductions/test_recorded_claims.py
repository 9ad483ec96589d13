"""Recorded verdicts: their claims are the declared ones, and their heads follow from the paper's."""

import pytest

from qtha_lab.reproductions import REPRODUCTIONS
from qtha_lab.reproductions.machinery.listing import recorded_verdict
from qtha_lab.reproductions.machinery.verdicts import headline, paper_verdict

RECORDED = [name for name in REPRODUCTIONS if recorded_verdict(name)]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_claims_are_those_that_are_declared(name):
    recorded = recorded_verdict(name)["claims"]
    declared = REPRODUCTIONS[name].claims
    assert [(c["says"], c["from_paper"]) for c in recorded] == [
        (c.says, c.from_paper) for c in declared
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_headline_is_that_of_the_papers_own_claims(name):
    verdict = recorded_verdict(name)
    assert verdict["headline"] == headline(verdict["claims"])
    assert verdict["headline"].startswith(paper_verdict(verdict["claims"]))


@pytest.mark.parametrize("name", RECORDED)
def test_a_number_without_a_seed_is_never_shown(name):
    for claim in recorded_verdict(name)["claims"]:
        arms = recorded_verdict(name)["arms"]
        sides = [arms[arm] for arm in (claim["arm"], claim["control"]) if arm in arms]
        values = [{run.get(claim["measure"]) for run in side} for side in sides]
        if all(len(side) == 1 for side in values):
            assert claim["verdict"] not in ("shown", "opposite shown"), claim["says"]
