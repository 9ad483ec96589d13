"""Every member of every family keeps to the contract that plugins are held to."""

import pytest

from qtha_lab.testing import checking
from qtha_lab.testing.facts import FACTS

FAMILIES = {family.kind: family for family in checking.registries()}
SKIPPED = {
    "learned", "round",  # g=64 of their examples does not divide the 32 inputs of the small model
}  # fmt: skip
ELSEWHERE = {"exercise", "reproduction", "task"}  # tests of their own folders


def cases():
    """Yield facts and members; facts of whole models and recurrent heads are slow."""
    for kind in sorted(FAMILIES.keys() - ELSEWHERE):
        for name in sorted(FAMILIES[kind].keys() - SKIPPED):
            for fact in FACTS[kind]:
                slow = fact.trial.__module__.endswith("method") or name == "qlstm"
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(kind, name, fact, marks=marks, id=f"{name}: {fact.sentence}")


@pytest.mark.parametrize(("kind", "name", "fact"), list(cases()))
def test_a_member_keeps_to_a_fact_of_its_family(kind, name, fact):
    fact.trial(FAMILIES[kind][name])
