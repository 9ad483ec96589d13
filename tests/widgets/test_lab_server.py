"""The JupyterLab that `make lab` and `qtha-lab lab` open, with the environment's programs on PATH."""

import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from support.jupyter_browser import open_lab


@pytest.mark.browser
@pytest.mark.slow
def test_two_notebooks_open_without_a_language_server_or_its_dialog(jupyter, tmp_path):
    assert shutil.which("basedpyright", path=Path(sys.executable).parent), "it would be started"
    names = ("one.ipynb", "two.ipynb")
    for name in names:
        cells = [nbformat.v4.new_code_cell("1 + 1")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / name)
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
