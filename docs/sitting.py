"""The sitting of docs/howto/sitting.md, done by clicks and keys in a real JupyterLab; takes the
pictures of that page, and the picture and the film of README.

    python docs/sitting.py [FOLDER]           some ten minutes on two cores
    python docs/sitting.py --film [FOLDER]    picture and film of README alone

Both need Chromium and the extra `test`, and print what is seen, with the time. FOLDER (out/sitting)
keeps the runs and the figure; a sweep that it holds already is looked at and not launched again.
The page at each width, light and dark, is left there for looking at.
"""

import io
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from playwright.sync_api import Locator, expect  # noqa: E402
from support.jupyter_browser import Lab, open_lab, serve  # noqa: E402
from support.workbench_page import ready, unfold  # noqa: E402

from qtha_lab.figures.machinery.theme import method_style  # noqa: E402

PICTURES = ROOT / "docs" / "howto" / "pictures"
WINDOW = (1400, 900)
WIDTHS, THEMES = (1400, 900, 700), ("JupyterLab Light", "JupyterLab Dark")
PRESET, SEEDS = "sweep the learning rate", "0, 1"
FILM = ROOT / "docs" / "film.webp"
FILM_SECONDS, FILM_FRAMES, LAST_FRAMES = 20.0, 40, 8
FILM_SIZE, FILM_COLOURS = (840, 540), 40
WHY = "seed = 0 and learning_rate in (0.001, 0.01, 0.1)"


class Sitting:
    """Run the steps of a person at the page."""

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

    def whole(self, swept: bool) -> None:
        """Do all steps of the page; a sweep that is there already is not launched again."""
        self.open()
        if not swept:
            self.launch()
            self.watch()
        self.style()
        self.save()

    def open(self) -> None:
        """Run the cell, in a kernel that has imported nothing yet."""
        self.begin = time.monotonic()
        self.lab.menu("Run", "Run All Cells")  # the source of the cell is hidden
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

    def film(self) -> None:
        """Launch the comparison of the page, and film it to its finding; take the picture."""
        self.open()
        frames = [self.frame()] * 3
        self.click("Launch")
        rows = self.bench.locator(".qtha-watch .qtha-run")
        expect(rows).to_have_count(2)
        while rows.filter(has_text="finished").count() < 2:
            frames.append(self.frame())
            self.page.wait_for_timeout(500)
        frames.append(self.frame())
        frames = thinned(frames, FILM_FRAMES - LAST_FRAMES)
        self.page.wait_for_timeout(1500)
        keep(self.page.screenshot(), "opened")
        self.bench.get_by_role("tab", name="Compare").click()
        expect(self.bench.locator(".qtha-verdict:visible")).to_contain_text("than")
        self.page.wait_for_timeout(1500)
        frames += [self.frame()] * LAST_FRAMES
        self.say(self.bench.locator(".qtha-verdict:visible").inner_text())
        save_film(frames, [int(1000 * FILM_SECONDS / FILM_FRAMES)] * len(frames))

    def frame(self) -> Image.Image:
        """Return the window as a picture of the film."""
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return shot.resize(FILM_SIZE, Image.Resampling.LANCZOS)

    def watch(self) -> None:
        """See the trials come in, until the sweep has ended."""
        expect(self.sweep).to_contain_text("4 complete")
        self.part("running", self.sweep)
        expect(self.sweep).to_contain_text("finished ·", timeout=3_600_000)
        self.say(self.sweep.inner_text())

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
        """Take pictures of states of the page, at each width in each theme."""
        for theme in THEMES:
            self.page.set_viewport_size({"width": WIDTHS[0], "height": WINDOW[1]})
            self.lab.menu("Settings", "Theme", theme)
            for name, arrange in self.states().items():
                self.page.set_viewport_size({"width": WIDTHS[0], "height": 5000})
                arrange()
                for width in WIDTHS:
                    self.page.set_viewport_size({"width": width, "height": 5000})
                    setup = self.bench.get_by_role("tab", name="Setup")
                    if name in ("command", "fault") and setup.is_visible():
                        setup.click()  # one column
                    self.page.wait_for_timeout(2000)
                    path = self.folder / f"{name}-{width}-{theme.split()[1].lower()}.png"
                    self.bench.screenshot(path=path)

    def states(self) -> dict[str, Callable[[], object]]:
        """Return the states of the page that are worth a look, with the way there."""
        preset = self.bench.get_by_label("preset", exact=True)
        return {
            "compare": lambda: self.bench.get_by_role("tab", name="Compare").click(),
            "explore": lambda: self.bench.get_by_role("tab", name="Explore").click(),
            "command": lambda: preset.select_option(label="train by federated averaging"),
            "fault": lambda: self.faulty("1, 2, 1"),
            "page": lambda: self.faulty("0"),
        }

    def faulty(self, seeds: str) -> None:
        """Enter seeds under Setup."""
        self.bench.get_by_label("preset", exact=True).select_option(index=0)
        unfold(self.bench, "Model, task, seeds")
        self.enter("seeds", seeds)


def keep(screenshot: bytes, name: str) -> None:
    """Write a picture of the page in 256 colours as lossless WebP."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    few = picture.quantize(256, dither=Image.Dither.NONE)
    few.convert("RGB").save(PICTURES / f"{name}.webp", lossless=True, method=6, quality=100)


def save_film(frames: list[Image.Image], milliseconds: list[int]) -> None:
    """Write frames as an animated WebP with one palette, so that only changes take room."""
    palette = swatches(frames).quantize(FILM_COLOURS, dither=Image.Dither.NONE)
    few = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    shown = [frame.convert("RGB") for frame in few]
    options = {"save_all": True, "append_images": shown[1:], "loop": 0, "lossless": True}
    shown[0].save(FILM, duration=milliseconds, method=6, quality=100, **options)


def swatches(frames: list[Image.Image]) -> Image.Image:
    """Return the last frame above a field of each method's colour, which thin lines have."""
    last = frames[-1]
    whole = Image.new("RGB", (last.width, 3 * last.height))
    whole.paste(last, (0, 0))
    for place, method in enumerate(("lora", "qtha"), 1):
        field = Image.new("RGB", last.size, method_style(method)["color"])
        whole.paste(field, (0, place * last.height))
    return whole


def thinned(frames: list[Image.Image], most: int) -> list[Image.Image]:
    """Return at most so many of the frames, evenly spread, the first and the last among them."""
    if len(frames) <= most:
        return frames
    return [frames[round(n * (len(frames) - 1) / (most - 1))] for n in range(most)]


def main(folder: Path, film: bool) -> None:
    """Do the sitting in a folder, or take the film alone."""
    folder.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    notebook = shutil.copy(ROOT / "notebooks" / "workbench.ipynb", folder)
    os.environ["QTHA_LAB_RUNS"] = str(folder / "runs")
    shutil.rmtree(folder / "figures", ignore_errors=True)
    (folder / "failure.png").unlink(missing_ok=True)  # of a time before
    swept = (folder / "runs").exists()
    home = Path(tempfile.mkdtemp())
    with serve(folder, home) as server, open_lab(server, Path(notebook), size=WINDOW) as lab:
        sitting = Sitting(lab, folder)
        if film:
            sitting.film()
        else:
            sitting.whole(swept)
        sitting.every_width()
        sitting.say(f"errors of cells: {lab.errors()}, of the console: {lab.complaints}")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--film"]
    main(Path(*words[:1] or [ROOT / "out" / "sitting"]).resolve(), "--film" in sys.argv)
