"""The page of the workbench as Voila serves it.

The form is there without JupyterLab, and a launch works.
"""

import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_voila
from support.waiting import wait_until
from support.workbench_page import button, unnamed

from qtha_lab.runs.run import list_runs


@pytest.mark.browser
@pytest.mark.slow
def test_voila_serves_the_form_and_a_click_launches_its_runs(tmp_path):
    with open_voila(tmp_path, size=(1400, 1000)) as page:
        launch = button(page, "Launch")
        launch.wait_for()
        assert unnamed(page, ".qtha-workbench") == []
        assert page.locator(".qtha-note:visible").count() == 0
        launch.click()  # while the kernel still imports its libraries
        expect(page.locator(".qtha-news .qtha-banner")).to_contain_text("Launched 2 runs")
        wait_until(lambda: len(list_runs()) == 2)
        expect(page.locator(".qtha-runs > .qtha-run")).to_have_count(2)
