"""The sitting of docs/howto/find_a_rate.md, done by clicks in a real JupyterLab; the pictures of that page and of the README.

    python docs/sitting.py            some ten minutes on two cores

Everything is typed and clicked as a person would; nothing is run from code but `Workbench()`.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="t"))

import nbformat  # noqa: E402
from playwright.sync_api import Locator, Page, expect  # noqa: E402
from support.jupyter_browser import open_lab, serve  # noqa: E402

PICTURES = ROOT / "docs" / "howto" / "pictures"
CELL = "from widgets import Workbench\n\nWorkbench()"
RATES = "0.001…0.1 log 5"
STEPS, SEEDS = "60", "0, 1"


def main() -> None:
    """Do the sitting; each picture shows what the page of documentation speaks of there."""
    folder = Path(tempfile.mkdtemp(prefix="sitting"))
    os.environ["QTHA_LAB_RUNS"] = str(folder / "runs")
    notebook = folder / "workbench.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), notebook)
    (folder / "home").mkdir()
    PICTURES.mkdir(exist_ok=True)
    with (
        serve(folder, folder / "home") as server,
        open_lab(server, notebook, size=(1400, 1150)) as lab,
    ):
        page = lab.page
        lab.run_cell("Workbench(")
        bench = page.locator(".qtha-workbench").first
        expect(bench.locator(".qtha-table th").first).to_be_visible()
        picture(page, bench, "form")

        enter(bench, "seeds", SEEDS)
        enter(bench, "steps", STEPS)
        enter(bench, "learning_rate", RATES)
        bench.get_by_role("button", name="Sweep learning_rate in every method alike").click()
        expect(bench.get_by_text("ten minutes hold")).to_be_visible()
        page.wait_for_timeout(2000)
        picture(page, bench.get_by_text("ten minutes hold"), "forecast")

        bench.get_by_role("button", name="Launch sweep", exact=True).click()
        panel = bench.locator(".qtha-sweep")
        expect(panel).to_contain_text("3 complete")
        picture(page, panel, "running")
        expect(panel).to_contain_text("finished ·")
        panel.get_by_role("button", name="Views of its runs").click()
        views = bench.locator(".qtha-views")
        expect(views).to_be_visible()
        views.locator("select").first.select_option(label="Loss against learning rate")
        page.wait_for_timeout(4000)
        picture(page, views, "rates")
        views.locator("select").first.select_option(label="Parallel coordinates")
        page.wait_for_timeout(4000)
        picture(page, views, "parallel")
        views.locator("select").first.select_option(label="Loss against learning rate")
        page.wait_for_timeout(3000)
        views.get_by_role("button", name="Save figure").click()
        save = views.locator(".qtha-save")
        save.get_by_role("button", name="Short names").click()
        save.get_by_role("button", name="Save", exact=True).click()
        expect(save.get_by_role("link", name="Download")).to_be_visible()
        picture(page, save, "saved")
        print(panel.inner_text())
        print(views.inner_text()[:2000])
        print("errors:", lab.errors(), lab.complaints)


def enter(bench: Locator, name: str, text: str) -> None:
    """Fill a field and leave it."""
    bench.get_by_label(name, exact=True).first.fill(text)
    bench.page.keyboard.press("Tab")


def picture(page: Page, part: Locator, name: str) -> None:
    """The page as it is seen with a part of it in sight."""
    part.scroll_into_view_if_needed()
    page.wait_for_timeout(800)
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
