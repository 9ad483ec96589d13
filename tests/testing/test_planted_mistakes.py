"""Mistakes of plugins over every family: `check-plugin` reports them in a clear sentence."""

from pathlib import Path

import pytest
from planted_mistakes import MISTAKES

from qtha_lab import testing
from qtha_lab.core.errors import Refusal
from qtha_lab.testing.checking import registries

pytestmark = pytest.mark.usefixtures("no_plugin_stays")
NAMED = {
    "non-causal",
    "mixes rows",
    "random forward pass",
    "random numbers without the seed",
    "more than 4 qubits",
    "affine but merged",
    "name of PEFT's",
    "setting without effect",
    "unordered",
    "empty answers",
    "dot in a tensor name",
    "infinite at large inputs",
}


def reports(mistake, folder: Path) -> list[str]:
    """Return what `check-plugin` reports of a mistake, at an import or fact by fact."""
    file = folder / "mine.py"
    file.write_text(mistake.source)
    try:
        return [verdict.seen for verdict in testing.check_plugin(str(file)) if not verdict.holds]
    except Refusal as refused:
        return [str(refused)]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.family}: {m.title}")
def test_a_planted_mistake_is_reported_in_its_sentence(mistake, tmp_path):
    seen = reports(mistake, tmp_path)
    assert any(mistake.sentence in sentence for sentence in seen), seen
    assert all(len(sentence) <= 400 and "\n" not in sentence for sentence in seen)


def test_the_list_has_mistakes_of_every_family_and_those_of_the_specification():
    assert len(MISTAKES) >= 54
    assert {mistake.family for mistake in MISTAKES} == {registry.kind for registry in registries()}
    assert {mistake.title for mistake in MISTAKES} >= NAMED
    assert len({(mistake.family, mistake.title) for mistake in MISTAKES}) == len(MISTAKES)
