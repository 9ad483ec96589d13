"""Pages without a kernel: picture, table and finding of every panel, and a small state."""

import html
import json
import re

import pytest
from nbconvert import HTMLExporter
from support.notebooks import FOLDER, PAGE, execute, read
from support.run_folders import finish, run_folder, status, train, write

pytestmark = pytest.mark.slow
STATE = "application/vnd.jupyter.widget-state+json"
MOST_MODELS, MOST_BYTES = 250, 400 * 1024


def executed(path, folder, profile="ci"):
    """Execute a notebook; its page, and the state of its widgets."""
    notebook = read(path)
    execute(notebook, folder, profile)
    page, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    return page, notebook.metadata["widgets"][STATE]["state"]


def alts(page):
    """Return the alt texts of the pictures of a page."""
    pictures = [tag for tag in re.findall(r"<img[^>]*>", page) if "data:image/svg" in tag]
    return [html.unescape(re.search(r'alt="([^"]*)"', tag)[1]) for tag in pictures]


def is_small(state, others=0):
    """Check the state of a workbench, and of models of other panels beside it."""
    assert len(state) <= MOST_MODELS + others
    assert len(json.dumps(state)) <= MOST_BYTES


def test_the_workbench_shows_curves_table_and_finding_of_earlier_runs(tmp_path):
    for method, loss in (("qtha(r=4)", 4.2), ("lora(r=2)", 4.1)):
        run = run_folder(tmp_path / "runs", method, name="before", steps=3)
        losses = [train(step, 5.0 - step / 10) for step in (1, 2, 3)]
        write(run, status("running", 0), *losses, {"kind": "eval", "step": 3, "loss": loss})
        finish(run, eval_loss=loss, test_loss=loss, train_loss=loss)
    page, state = executed(PAGE, tmp_path)
    (alt,) = alts(page)
    assert "lora" in alt
    assert "4.1" in alt
    assert "lora is lower than qtha by 0.100 nat" in page
    assert '<th scope="col">method' in page
    is_small(state)


def test_the_tour_shows_its_curves_and_the_finding_of_its_workbench(tmp_path):
    page, state = executed(FOLDER / "00_tour.ipynb", tmp_path)
    found = alts(page)
    assert all(found)
    curves = [alt for alt in found if alt.startswith("Evaluation loss")]
    assert len(curves) >= 2, found  # the live curves, and those of the workbench
    assert all("lora" in alt for alt in curves)
    assert "Workbench" in page
    assert re.search(r"(lower than|no difference|inconclusive)", page)
    is_small(state, others=50)
