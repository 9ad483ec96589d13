"""A real JupyterLab in headless Chromium, with a home, a token and a port of its own."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Error, Page, expect, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE = 90_000  # milliseconds for anything that a busy machine of two cores may take long for
expect.set_options(timeout=PATIENCE)
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'


@dataclass
class Lab:
    """A page with a notebook open, and what its console complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def menu(self, *names: str) -> None:
        """Choose from the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=names[0]).first.click()
        for name in names[1:]:
            self.page.locator(".lm-Menu-itemLabel", has_text=name).first.click()

    def errors(self) -> list[str]:
        """What cells wrote to standard error or were stopped by."""
        written = '[data-mime-type="application/vnd.jupyter.stderr"]'
        return self.page.locator(f".jp-Notebook {written}").all_inner_texts()

    def wait_idle(self) -> None:
        """Wait until the kernel is connected and does nothing."""
        self.page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()

    def run_cell(self, text: str) -> None:
        """Run the code cell that contains a text."""
        cell = self.page.locator(".jp-CodeCell", has_text=text).first
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")

    def second_tab(self) -> Page:
        """The same notebook in a tab of its own, still loading."""
        url = self.page.url.replace("/lab/tree/", "/lab/workspaces/second/tree/")
        tab = self.listen(self.page.context.new_page())
        tab.goto(url, wait_until="commit")
        return tab

    def listen(self, page: Page) -> Page:
        """Note what the console of a page complains about, and be patient with it."""
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def restart_kernel(self) -> None:
        """Restart the kernel, confirming the question."""
        self.menu("Kernel", "Restart Kernel…")
        self.page.locator(".jp-Dialog button", has_text="Restart").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")
        self.wait_idle()


def chromium() -> str:
    """Debian's Chromium, or a sentence that says how to get it."""
    found = shutil.which("chromium")
    if found is None:
        raise AssertionError("chromium is missing: `apt-get install chromium` brings it")
    return found


@contextlib.contextmanager
def open_lab(notebook: Path, folder: Path, *, size=(1400, 1000), **env: str) -> Iterator[Lab]:
    """Serve the notebook's folder and open the notebook; on an error, leave `failure.png` in `folder`.

    Args:
        folder: An empty folder for the home and the settings of this JupyterLab.
        size: Width and height of the window, in pixels.
        env: More environment variables for the kernel.
    """
    port, token = free_port(), secrets.token_hex(16)
    with serve(notebook.parent, folder, port, token, env), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        page = context.new_page()
        lab = Lab(page)
        lab.listen(page)
        try:
            page.goto(f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?token={token}")
            lab.wait_idle()
            yield lab
        except BaseException as failure:
            with contextlib.suppress(Error):
                failure.add_note("\n".join(["The notebook says:", *lab.errors(), *lab.complaints]))
                page.screenshot(path=folder / "failure.png")
            raise
        finally:
            browser.close()


@contextlib.contextmanager
def serve(root: Path, folder: Path, port: int, token: str, env: dict[str, str]) -> Iterator[None]:
    """A Jupyter server until the end of the block; its kernels end with it."""
    news = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(NO_NEWS)
    places = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    places |= {"JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    own = {name: str(folder / place) for name, place in places.items()}
    log = (folder / "jupyter.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", f"--port={port}",
         "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
         f"--ServerApp.root_dir={root}"],
        env=os.environ | own | env, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        wait_for_port(server, port, folder / "jupyter.log")
        yield
    finally:
        server.terminate()
        server.wait(timeout=60)
        log.close()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(server: subprocess.Popen, port: int, log: Path) -> None:
    """Wait until the server answers; its log if it does not."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
