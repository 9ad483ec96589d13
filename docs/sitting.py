"""The sitting of docs/howto/sitting.md, done by clicks and keys in a real JupyterLab; takes the
pictures of that page.

    python docs/sitting.py [FOLDER]     some ten minutes on two cores; needs Chromium and the extra
    `test`

Prints what is seen, with the time. FOLDER (out/sitting) keeps the runs and the figure; a sweep that
it holds already is looked
at and not launched again. The page at each width, light and dark, is left there for looking at.
"""

import io
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="t")  # of the server that forks the runs

from playwright.sync_api import Locator, expect  # noqa: E402
from support.jupyter_browser import Lab, open_lab, serve  # noqa: E402
from support.warm_servers import end_servers  # noqa: E402
from support.workbench_page import ready, unfold  # noqa: E402

PICTURES = ROOT / "docs" / "howto" / "pictures"
WINDOW = (1400, 900)
WIDTHS, THEMES = (1400, 900, 700), ("JupyterLab Light", "JupyterLab Dark")
PRESET, SEEDS = "sweep the learning rate", "0, 1"
FILM_SECONDS, FILM_STEP = 20.0, 0.5  # length of the film, and time between two of its pictures
WHY = "seed = 0 and learning_rate in (0.001, 0.01, 0.1)"


class Sitting:
    """What a person does at the page, step by step."""

    def __init__(self, lab: Lab, folder: Path):
        self.lab, self.page, self.folder = lab, lab.page, folder
        self.bench = lab.page.locator(".qtha-workbench").first
        self.sweep = self.bench.locator(".qtha-sweep")
        self.views = self.bench.locator(".qtha-views")
        self.begin = time.monotonic()

    # ---- hands and eyes

    def say(self, sentence: str) -> None:
        """Print what is seen, after how many seconds of the sitting."""
        print(f"{time.monotonic() - self.begin:6.1f} s  {sentence}", flush=True)

    def click(self, name: str, within: Locator | None = None) -> None:
        """Press a button by what stands on it."""
        (within or self.bench).get_by_role("button", name=name, exact=True).first.click()

    def enter(self, name: str, text: str, within: Locator | None = None) -> None:
        """Click into a field, type over what is there, and leave by Tab."""
        (within or self.bench).get_by_label(name, exact=True).first.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Tab")

    def choose(self, name: str, within: Locator) -> None:
        """Choose a view, and read what stands under its figure."""
        words = within.locator(".qtha-figure > p").first
        before = words.text_content() or ""
        within.locator("select").first.select_option(label=name)
        expect(words).not_to_have_text(before)
        expect(within.locator(".qtha-figure .js-plotly-plot").first).to_be_visible()
        self.say(f"{name}: {words.text_content()}")

    def window(self, name: str) -> None:
        """Take a picture of the notebook as it is seen in the window."""
        self.page.wait_for_timeout(700)  # what moves comes to rest
        keep(self.page.locator(".jp-NotebookPanel-notebook").screenshot(), name)

    def part(self, name: str, part: Locator) -> None:
        """Take a picture of a part, in a window so high that nothing of it is hidden."""
        self.page.set_viewport_size({"width": WINDOW[0], "height": 4000})
        self.page.wait_for_timeout(700)
        keep(part.screenshot(), name)
        self.page.set_viewport_size({"width": WINDOW[0], "height": WINDOW[1]})

    # ---- the sitting

    def open(self) -> None:
        """Run the cell, in a kernel that has imported nothing yet."""
        self.begin = time.monotonic()
        self.lab.run_cell("Workbench()")
        expect(self.bench.get_by_role("button", name=re.compile("^Launch"))).to_be_visible()
        self.say("the panel is drawn")
        ready(self.bench)
        self.say(f"the costs are there: {self.bench.locator('.qtha-summary').inner_text()!r}")

    def launch(self) -> None:
        """Choose the preset of the sweep and two seeds, read the forecast, start."""
        self.bench.get_by_label("preset", exact=True).select_option(label=PRESET)
        unfold(self.bench, "Model, task, seeds", "Sweep")
        self.enter("seeds", SEEDS)
        forecast = self.bench.get_by_text("ten minutes hold")
        expect(forecast).to_contain_text("20 runs")
        ready(self.bench)
        self.say(forecast.inner_text())
        forecast.scroll_into_view_if_needed()
        self.window("forecast")
        self.click("Launch sweep")
        expect(self.sweep).to_contain_text("begun")
        self.say("launched")
        self.film()

    def film(self) -> None:
        """Take a film of the trials as they come in, as an animated picture."""
        frames = []
        for _ in range(int(FILM_SECONDS / FILM_STEP)):
            shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
            frames.append(shot.resize((WINDOW[0] // 2, WINDOW[1] // 2)).quantize(64))
            self.page.wait_for_timeout(1000 * FILM_STEP)
        options = {"save_all": True, "append_images": frames[1:], "loop": 0, "optimize": True}
        frames[0].save(PICTURES / "workbench.gif", duration=int(1000 * FILM_STEP), **options)

    def watch(self) -> None:
        """See the trials come in, until the sweep has ended."""
        expect(self.sweep).to_contain_text("4 complete")
        self.part("running", self.sweep)
        expect(self.sweep).to_contain_text("finished ·", timeout=3_600_000)
        self.say(self.sweep.inner_text())
        self.window("opened")

    def style(self) -> None:
        """The loss at each rate, all runs as lines, and what the updates became at some of the
        rates.
        """
        self.click("Views of its runs", self.sweep)
        expect(self.views.locator("select").first).to_be_visible()
        self.page.wait_for_timeout(2000)
        self.choose("Loss against learning rate", self.views)
        self.part("rates", self.views)
        self.choose("Parallel coordinates", self.views)
        self.part("parallel", self.views)
        table = self.bench.locator(".qtha-runs-table")
        self.click("Untick all", table)
        self.enter("filter", WHY, table)
        expect(table.locator("tbody tr:not(.qtha-group-row) input[type=checkbox]")).to_have_count(6)
        self.click("Tick all", table)
        expect(table.get_by_text("6 ticked")).to_be_visible()
        expect(self.views.locator(".qtha-figure > p").first).to_contain_text("6 runs")
        self.choose("Spectra over training", self.views)
        self.part("spectra", self.views)

    def save(self) -> None:
        """Save the figure of the rates for a paper, and take the file."""
        table = self.bench.locator(".qtha-runs-table")
        self.click("Untick all", table)
        self.click("Views of its runs", self.sweep)
        self.choose("Loss against learning rate", self.views)
        self.click("Save figure", self.views)
        save = self.views.locator(".qtha-save")
        self.click("Short names", save)
        self.click("Save", save)
        link = save.get_by_role("link", name="Download")
        expect(link).to_be_visible()
        with self.page.expect_download() as download:
            link.click()
        download.value.save_as(self.folder / "figure.pdf")
        self.say(save.get_by_text("Saved: ").inner_text())
        self.part("saved", save)

    def every_width(self) -> None:
        """The whole page at each width in each theme."""
        for theme in THEMES:
            self.page.set_viewport_size({"width": WIDTHS[0], "height": 5000})
            self.lab.menu("Settings", "Theme", theme)
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": 5000})
                self.page.wait_for_timeout(2500)
                path = self.folder / f"{width}-{theme.split()[1].lower()}.png"
                self.bench.screenshot(path=path)


def keep(screenshot: bytes, name: str) -> None:
    """Write a picture of the page in 256 colours, a third of the size."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    few = picture.quantize(256, dither=Image.Dither.NONE)
    few.save(PICTURES / f"{name}.png", optimize=True)


def main(folder: Path) -> None:
    """Do the sitting in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    notebook = shutil.copy(ROOT / "notebooks" / "workbench.ipynb", folder)
    os.environ["QTHA_LAB_RUNS"] = str(folder / "runs")
    shutil.rmtree(folder / "figures", ignore_errors=True)
    swept = (folder / "runs").exists()
    home = Path(tempfile.mkdtemp())
    with serve(folder, home) as server, open_lab(server, Path(notebook), size=WINDOW) as lab:
        sitting = Sitting(lab, folder)
        sitting.open()
        if not swept:
            sitting.launch()
            sitting.watch()
        sitting.style()
        sitting.save()
        sitting.every_width()
        sitting.say(f"errors of cells: {lab.errors()}, of the console: {lab.complaints}")
    end_servers(os.environ["XDG_RUNTIME_DIR"])


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or [ROOT / "out" / "sitting"]).resolve())
