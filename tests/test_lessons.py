"""Every lesson as a reader leaves it: in the full profile, all exercises solved, on each model.

`QTHA_LAB_CLAIMS` names more models than tiny (`make claims`).
"""

import os

import pytest
from support.notebooks import LESSONS, claims, execute, read, solve, verdicts

MODELS = ["tiny", *os.environ.get("QTHA_LAB_CLAIMS", "").split()]
pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[(path, model) for path in LESSONS for model in MODELS],
    ids=lambda lesson: f"{lesson[0].stem}-{lesson[1]}",
)
def outputs(request, tmp_path_factory):
    """What a solved lesson shows on a model."""
    path, model = request.param
    notebook = solve(read(path))
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    parameters.source += f'\nmodel = "{model}"'
    return execute(notebook, tmp_path_factory.mktemp(path.stem), profile="full")


def test_every_solution_is_right(outputs):
    lines = verdicts(outputs)
    assert len(lines) >= 3
    assert [line for line in lines if not line.startswith("✓")] == []


def test_every_sentence_of_what_to_see_holds(outputs):
    sentences = claims(outputs)
    assert len(sentences) >= 5
    assert [sentence for sentence in sentences if sentence.startswith("✗")] == []
