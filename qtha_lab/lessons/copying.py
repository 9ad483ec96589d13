"""The notebooks copied into a folder, and JupyterLab over it.

Never overwrites: a notebook that is there already stays as it is.
"""

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import digest
from qtha_lab.core.paths import notebooks_dir

FIRST_PAGE = "00_tour.ipynb"


@dataclass(frozen=True)
class Copies:
    """What `copy_notebooks` did: the names it wrote, and those that it left because they differ from the shipped ones."""

    folder: Path
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def copy_notebooks(folder: Path) -> Copies:
    """Put the shipped notebooks into a folder.

    Args:
        folder: Where to; made if it is not there. A checkout, or its folder of notebooks, gets no copies:
            its own notebooks are the shipped ones.

    Returns:
        The folder that holds the notebooks, what was copied, and what was left as it is.

    Raises:
        Refusal: If the folder is a file.
    """
    shipped = notebooks_dir()
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{folder} is a file: notebooks go into a folder")
    if folder.resolve() in (shipped, shipped.parent):
        return Copies(shipped)
    folder.mkdir(parents=True, exist_ok=True)
    new, changed = [], []
    for source in sorted(shipped.glob("*.ipynb")):
        target = folder / source.name
        if not target.exists():
            shutil.copyfile(source, target)
            new.append(source.name)
        elif digest(target) != digest(source):
            changed.append(source.name)
    return Copies(folder.resolve(), tuple(new), tuple(changed))


def lab_command(folder: Path, port: int, browser: bool) -> list[str]:
    """The command that opens JupyterLab over a folder at the tour.

    Args:
        folder: The root of the file browser.
        port: Where the server listens; Jupyter takes the next free one.
        browser: Whether it opens a page.

    Raises:
        Refusal: If JupyterLab is not installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise Refusal("JupyterLab is not installed: pip install jupyterlab")
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"]
    command.append(
        "--LanguageServerManager.autodetect=False"
    )  # servers of the environment open dialogs
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command
