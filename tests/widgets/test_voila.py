"""The page of the workbench as Voila serves it.

The form is there without JupyterLab, and a launch works.
"""

import os
import subprocess
import sys

import pytest
from playwright.sync_api import expect, sync_playwright
from support.accessibility import unnamed
from support.jupyter_browser import FLAGS, chromium, free_port, wait_for_port
from support.notebooks import PAGE
from support.waiting import PATIENCE, wait_until

from qtha_lab.runs.run import list_runs


@pytest.mark.browser
@pytest.mark.slow
def test_voila_serves_the_form_and_a_click_launches_its_runs(tmp_path):
    port, log = free_port(), tmp_path / "voila.log"
    places = {
        name: str(tmp_path / name.lower())
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
    }
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "voila", str(PAGE), "--no-browser", f"--port={port}"],
            env=os.environ | places, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for_port(server, port, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(f"http://127.0.0.1:{port}/")
            try:
                launch = page.get_by_role("button", name="Launch", exact=True)
                launch.wait_for()
                assert unnamed(page, ".qtha-workbench") == []
                assert page.locator(".qtha-note:visible").count() == 0
                launch.click()  # while the kernel still imports its libraries
                expect(page.locator(".qtha-news .qtha-banner")).to_contain_text("Launched 2 runs")
                wait_until(lambda: len(list_runs()) == 2, log.read_text)
                expect(page.locator(".qtha-runs > .qtha-run")).to_have_count(2)
            finally:
                page.screenshot(path=tmp_path / "voila.png")
                browser.close()
    finally:
        for run in list_runs():
            run.stop(soft_seconds=0, term_seconds=1)
        server.terminate()
        server.wait(PATIENCE)
