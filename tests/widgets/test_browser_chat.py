"""Talk and Leave in a real JupyterLab: answers side by side by keyboard, mixed, stopped.

A run taken away.
"""

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.trained_runs import train_two
from support.workbench_page import unnamed, violations

CELL = """
from qtha_lab import list_runs
from widgets import Chat, ExportPanel

ids = [run.id for run in sorted(list_runs(), key=lambda run: run.id)]
talk = Chat(ids)
talk
"""
LEAVE = """
leave = ExportPanel(ids[0])
leave
"""


@pytest.mark.browser
@pytest.mark.slow
def test_a_prompt_is_answered_side_by_side_mixed_and_stopped_and_a_run_is_taken_away(
    jupyter, tmp_path
):
    runs = train_two(tmp_path / "runs")
    path = tmp_path / "talk.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (CELL, LEAVE)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with open_lab(jupyter, path) as lab:
        page = lab.page
        lab.menu("Run", "Run All Cells")
        panel = page.locator(".qtha-chat")
        pick = panel.get_by_label("held-out prompts", exact=True)
        expect(pick.locator("option")).to_have_count(11)
        pick.select_option(index=1)
        prompt = panel.get_by_label("prompt", exact=True)
        expect(prompt).not_to_have_value("")
        columns = panel.locator(".qtha-answers > .widget-vbox")
        expect(columns.first).to_contain_text("reference")

        # by keyboard alone: from the prompt to the button
        prompt.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(columns).to_have_count(4)
        for number in (1, 2, 3):
            expect(columns.nth(number)).to_contain_text("token")
        expect(panel.get_by_role("button", name="Stop")).to_be_disabled()
        assert violations(page, ".qtha-chat") == []
        assert unnamed(page, ".qtha-chat") == []
        page.screenshot(path=tmp_path / "talk.png")

        # mixed
        panel.get_by_role("button", name="Mix adapters by weights").click()
        expect(columns).to_have_count(5)
        expect(columns.nth(4).locator(".qtha-answer")).not_to_have_text("")
        first = panel.get_by_role("slider").first
        first.focus()
        page.keyboard.press("ArrowRight")
        expect(panel.get_by_role("button", name="Stop")).to_be_disabled()
        page.screenshot(path=tmp_path / "mixed.png")

        # stopped
        panel.get_by_role("button", name="How tokens are chosen").click()
        panel.get_by_label("maximum new tokens", exact=True).fill("400")
        panel.get_by_label("temperature", exact=True).fill("3")
        prompt.fill("Tell me a long story")
        panel.get_by_role("button", name="Answer").click()
        stop = panel.get_by_role("button", name="Stop")
        expect(stop).to_be_enabled()
        expect(columns.nth(1)).to_contain_text("token")
        stop.click()
        expect(columns.nth(1)).to_contain_text("stopped")
        expect(stop).to_be_disabled()

        # taken away
        leave = page.locator(".qtha-export")
        leave.get_by_label("export", exact=True).select_option(index=3)
        leave.get_by_role("button", name="Export").click()
        expect(leave).to_contain_text("-card.md: the card that stands beside the adapter")
        card = runs[0].path / "exports" / f"{runs[0].id}-card.md"
        assert card.is_file()
        assert violations(page, ".qtha-export") == []
        assert unnamed(page, ".qtha-export") == []
        page.screenshot(path=tmp_path / "leave.png")
        assert lab.complaints == []
        assert lab.errors() == []
