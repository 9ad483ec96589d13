"""The page of the workbench as Voila serves it to headless Chromium."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from qtha_lab.runs.run import list_runs
from support.jupyter_browser import FLAGS, chromium, free_port, wait_for_port
from support.notebooks import PAGE
from support.waiting import PATIENCE

PLACES = ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")


@contextlib.contextmanager
def open_voila(folder: Path, *, size: tuple[int, int] = (1400, 900)) -> Iterator[Page]:
    """Open the page, and leave `voila.png` in the folder; its runs are stopped at the end.

    Args:
        folder: Takes the log, the picture and what Jupyter writes.
        size: Width and height of the window, in pixels.
    """
    port, log = free_port(), folder / "voila.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "voila", str(PAGE), "--no-browser", f"--port={port}"],
            env=os.environ | {name: str(folder / name.lower()) for name in PLACES},
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for_port(server, port, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(f"http://127.0.0.1:{port}/")
            try:
                yield page
            finally:
                page.screenshot(path=folder / "voila.png")
                browser.close()
    finally:
        for run in list_runs():
            run.stop(soft_seconds=0, term_seconds=1)
        server.terminate()
        server.wait(PATIENCE)
