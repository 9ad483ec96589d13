"""The JupyterLab that `make lab` and `qtha-lab lab` open, with the environment's programs on PATH."""

import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import open_lab, serve
from support.workbench_page import button

ROOT = Path(__file__).parents[2]


def make_lab(folder: Path, port: int) -> list[str]:
    """Return the command `make lab` for a folder, in the environment that is installed."""
    venv = f"VENV={sys.prefix}"
    command = ["make", "-C", str(ROOT), "-o", f"{sys.prefix}/.installed", venv, "lab"]
    return [*command, "OPEN=0", f"PORT={port}", f"DIR={folder}"]


def launch_button(page) -> Locator:
    """Return the button of the workbench that starts runs."""
    bench = page.locator(".qtha-workbench").first
    return button(bench, "Launch")


@pytest.mark.browser
@pytest.mark.slow
def test_make_lab_has_the_tile_and_the_panel_again_after_a_reload(tmp_path, tmp_path_factory):
    folder = tmp_path / "mine"
    folder.mkdir()
    notebook = folder / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), notebook)
    with (
        serve(folder, tmp_path_factory.mktemp("make-lab"), make_lab) as server,
        open_lab(server, notebook) as lab,
    ):
        assert (folder / "00_tour.ipynb").is_file()  # copied by `qtha-lab lab`
        page = lab.page
        lab.menu("File", "New Launcher")
        page.locator(".jp-LauncherCard", has_text="QTHA workbench").click()
        expect(launch_button(page)).to_be_visible()
        lab.save()
        page.reload()
        expect(launch_button(page)).to_be_visible()
        assert page.get_by_text("widget model not found").count() == 0


@pytest.mark.browser
@pytest.mark.slow
def test_two_notebooks_open_without_a_language_server_or_its_dialog(jupyter, tmp_path):
    assert shutil.which("basedpyright", path=Path(sys.executable).parent), "it would be started"
    names = ("one.ipynb", "two.ipynb")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name in names:
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("1 + 1")], metadata={"kernelspec": kernel}
        )
        nbformat.write(notebook, tmp_path / name)
    with open_lab(jupyter, tmp_path / names[0]) as lab:
        page = lab.page
        other = page.locator(".jp-DirListing-item:visible", has_text=names[1])
        if other.count() == 0:  # a click on the tab of an open side panel would close it
            page.get_by_role("tab", name="File Browser").click()
        other.dblclick()
        page.locator(".lm-TabBar-tab.lm-mod-current", has_text=names[1]).wait_for()
        page.locator(".jp-NotebookPanel:visible .jp-CodeCell").wait_for()
        assert json.loads(jupyter.ask("GET", "/lsp/status"))["specs"] == {}
        assert page.locator(".jp-Dialog").count() == 0
