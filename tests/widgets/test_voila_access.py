"""The command of the how-to page serves a notebook with the password alone."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import nbformat
import pytest
from support.jupyter_browser import free_port, wait_for_port

HOW_TO = Path(__file__).parents[2] / "docs" / "howto" / "server.md"
CELL = "print('the ' + 'page')"


@pytest.mark.slow
def test_a_visitor_without_the_password_gets_the_login_page(tmp_path):
    pytest.importorskip("voila")
    from jupyter_server.auth import passwd

    (block,) = re.findall(r"```bash\n(voila .*?)```", HOW_TO.read_text(), re.DOTALL)
    block = re.sub(r"\$\(python .*?\)\"", lambda _: f'{passwd("open sesame")}"', block)
    words = shlex.split(block.replace("\\\n", ""))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, tmp_path / "page.ipynb")
    port = free_port()
    words[words.index("notebooks/workbench.ipynb")] = str(tmp_path / "page.ipynb")
    words[words.index("8866")] = str(port)
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *words], env=environment, stdout=log, stderr=log
        )
    try:
        wait_for_port(server, port, tmp_path / "log")
        assert "the page" not in visited(port)
        assert "the page" not in visited(port, "wrong")
        assert "the page" in visited(port, "open sesame")
    finally:
        server.terminate()
        server.wait()


def visited(port: int, password: str = "") -> str:
    """Return the text that a visitor gets, who may enter a password first."""
    cookies = CookieJar()
    visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    address = f"http://127.0.0.1:{port}/"
    text = visitor.open(address).read().decode()
    if password:
        token = next(cookie.value for cookie in cookies if cookie.name == "_xsrf")
        form = {"password": password, "_xsrf": token}
        sent = urllib.request.Request(f"{address}login", urllib.parse.urlencode(form).encode())
        with contextlib.suppress(urllib.error.HTTPError):  # of Voila, for a wrong password
            visitor.open(sent).close()
        text = visitor.open(address).read().decode()
    return text
