"""JupyterLab and Voila for the tests, and headless Chromium that opens pages there."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from playwright.sync_api import ConsoleMessage, Error, Page, Response, expect, sync_playwright

from qtha_lab.lessons.copying import lab_command
from qtha_lab.runs.run import list_runs
from support.notebooks import PAGE
from support.waiting import PATIENCE, wait_until

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
expect.set_options(timeout=1000 * PATIENCE)
# JupyterLab looks for neither news nor extensions to be built, which would start a node for each
# page.
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'
NO_BUILD = '{"buildCheck": false, "buildAvailable": false}'


@dataclass
class Lab:
    """A page with a notebook open, and the errors of its console."""

    page: Page
    notebook: Path
    complaints: list[str] = field(default_factory=list)

    def menu(self, *names: str) -> None:
        """Choose from the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=names[0]).first.click()
        for name in names[1:]:
            self.page.locator(".lm-Menu-itemLabel", has_text=name).first.click()

    def errors(self) -> list[str]:
        """Return standard error and exceptions of the cells."""
        selector = '[data-mime-type="application/vnd.jupyter.stderr"]'
        return self.page.locator(f".jp-Notebook {selector}").all_inner_texts()

    def wait_idle(self) -> None:
        """Wait until the kernel is connected and does nothing."""
        self.page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()

    def run_cell(self, text: str) -> None:
        """Run the code cell that contains a text."""
        cell = self.page.locator(".jp-CodeCell", has_text=text).first
        cell.locator(".cm-content").click()  # from whatever control has the focus
        self.page.keyboard.press("Control+Enter")

    def save(self) -> None:
        """Save the notebook, and wait until the server has written its file."""

        def written(answer: Response) -> bool:
            return answer.request.method == "PUT" and "/api/contents/" in answer.url

        with self.page.expect_response(written) as answer:
            self.menu("File", "Save Notebook")
        assert answer.value.ok, answer.value.status_text

    def second_tab(self) -> Page:
        """The same notebook in a tab of its own, still loading."""
        url = self.page.url.replace("/tree/", "-second/tree/", 1)
        tab = self.listen(self.page.context.new_page())
        tab.goto(url, wait_until="commit")
        return tab

    def listen(self, page: Page) -> Page:
        """Note errors on a page's console, and warnings of all modules but JupyterLab's own."""

        def note(message: ConsoleMessage) -> None:
            foreign = "/static/lab/" not in message.location["url"]
            if message.type == "error" or (message.type == "warning" and foreign):
                self.complaints.append(f"{message.text} {message.location['url']}".strip())

        page.set_default_timeout(1000 * PATIENCE)
        page.on("console", note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    @contextlib.contextmanager
    def failures_noted(self, folder: Path) -> Iterator[None]:
        """Add to an error what the page says, and leave `failure.png` in a folder."""
        try:
            yield
        except BaseException as failure:
            with contextlib.suppress(Error):
                notes = ["The notebook says:", *self.errors(), *self.complaints]
                failure.add_note("\n".join(notes))
                self.page.screenshot(path=folder / "failure.png")
            raise

    def restart_kernel(self) -> None:
        """Restart the kernel, confirming the question; the old one has ended then."""
        self.menu("Kernel", "Restart Kernel…")
        with self.page.expect_response(lambda answer: "/restart" in answer.url):
            self.page.locator(".jp-Dialog button", has_text="Restart").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")
        self.wait_idle()


def chromium() -> str:
    """Debian's Chromium, or a sentence that says how to get it."""
    path = shutil.which("chromium")
    if path is None:
        raise AssertionError("chromium is missing: `apt-get install chromium` brings it")
    return path


@dataclass(frozen=True)
class Server:
    """A JupyterLab that serves the notebooks below a folder."""

    root: Path
    home: Path
    url: str
    token: str

    def reset(self) -> None:
        """Forget what was set in the pages before, such as a dark theme."""
        settings = self.home / "config" / "lab" / "user-settings"
        shutil.rmtree(settings, ignore_errors=True)
        news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
        news.parent.mkdir(parents=True)
        news.write_text(NO_NEWS)

    def add_kernel(self, name: str, environment: dict[str, str]) -> None:
        """Offer a Python with environment variables of its own."""
        home = {
            "HOME": os.environ["HOME"]
        }  # as the tests' own, so that runs have the same warm server
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": name,
            "language": "python",
            "env": home | environment,
        }
        folder = self.home / "data" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(spec))

    def end_kernels(self) -> None:
        """End every kernel that runs."""
        for kernel in json.loads(self.ask("GET", "/api/kernels")):
            self.ask("DELETE", f"/api/kernels/{kernel['id']}")

    def ask(self, method: str, path: str) -> bytes:
        """Return the answer of the server's own interface."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()


@contextlib.contextmanager
def open_lab(server: Server, notebook: Path, *, size=(1400, 1000), **env: str) -> Iterator[Lab]:
    """Open a notebook in a page, a workspace and a kernel of its own; on an error, leave
    `failure.png` beside it.

    Args:
        server: What serves a folder above the notebook.
        notebook: Is told to run in that kernel.
        size: Width and height of the window, in pixels.
        env: More environment variables for the kernel; runs go to the test's own folder.
    """
    name = f"page-{secrets.token_hex(4)}"
    runs = {"QTHA_LAB_RUNS": os.environ.get("QTHA_LAB_RUNS", str(notebook.parent / "runs"))}
    server.reset()
    server.add_kernel(name, runs | env)
    content = nbformat.read(notebook, as_version=4)
    content.metadata.kernelspec = {"name": name, "display_name": name, "language": "python"}
    nbformat.write(content, notebook)
    place = f"workspaces/{name}/tree/{notebook.relative_to(server.root).as_posix()}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        page = context.new_page()
        lab = Lab(page, notebook)
        lab.listen(page)
        try:
            with lab.failures_noted(notebook.parent):
                page.goto(f"{server.url}/lab/{place}?token={server.token}")
                lab.wait_idle()
                yield lab
        finally:
            browser.close()
            server.end_kernels()


@contextlib.contextmanager
def serve(
    root: Path, home: Path, command: Callable[[Path, int], list[str]] | None = None
) -> Iterator[Server]:
    """A JupyterLab until the end of the block; its kernels end with it.

    Args:
        root: The folder whose notebooks it serves.
        home: An empty folder for its settings, kernels and log.
        command: Returns the command that serves a folder at a port; default that of
            `qtha-lab lab`.
    """
    command = command or (lambda root, port: lab_command(root, port, browser=False))
    port, token = free_port(), secrets.token_hex(16)
    page_config = home / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text(NO_BUILD)
    places = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    places |= {"JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    environment = {name: str(home / place) for name, place in places.items()}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (home / "jupyter.log").open("w") as log:
        process = subprocess.Popen(
            command(root, port),
            env=os.environ | environment | {"JUPYTER_TOKEN": token, "JUPYTER_PORT_RETRIES": "0"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for_port(process, port, home / "jupyter.log")
            yield Server(root, home, f"http://127.0.0.1:{port}", token)
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # make does not end the server that it started
            process.wait(timeout=PATIENCE)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(server: subprocess.Popen, port: int, log: Path) -> None:
    """Wait until the server answers; its log if it does not."""

    def answers() -> bool:
        assert server.poll() is None, f"JupyterLab did not start:\n{log.read_text()[-2000:]}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_until(answers, log.read_text)


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
