"""Copies of the notebooks in a folder, and the JupyterLab command for it.

An existing notebook is never overwritten.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import copy, digest, make_folder
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.paths import notebooks_dir
from qtha_lab.core.processes import module_command

FIRST_PAGE = "00_tour.ipynb"


@dataclass(frozen=True)
class Copies:
    """Result of `copy_notebooks`: folder, copied names, and names of differing notebooks.

    A notebook that differs from the shipped one is not replaced.
    """

    folder: Path
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def copy_notebooks(folder: Path) -> Copies:
    """Copy the shipped notebooks into a folder.

    Args:
        folder: Target folder, created if missing. A checkout or its notebook folder gets no copies:
            its own notebooks are the shipped ones.

    Returns:
        The folder that holds the notebooks, the copied names and the unchanged names.

    Raises:
        Refusal: If the folder is a file.
    """
    shipped = notebooks_dir()
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"The target of notebooks must be a folder, got the file {folder}.")
    if folder.resolve() in (shipped, shipped.parent):
        return Copies(shipped)
    make_folder(folder)
    new, changed = [], []
    for source in sorted(shipped.glob("*.ipynb")):
        target = folder / source.name
        if not os.path.lexists(target):
            copy(source, target)
            new.append(source.name)
        elif not target.exists() or digest(target) != digest(source):
            changed.append(source.name)
    return Copies(folder.resolve(), tuple(new), tuple(changed))


def lab_command(folder: Path, port: int, browser: bool) -> list[str]:
    """Return the command that opens JupyterLab in a folder, at the first page.

    Args:
        folder: Root of the file browser.
        port: Port of the server; Jupyter uses the next free port.
        browser: Open a browser page.

    Raises:
        Refusal: If JupyterLab is not installed.
    """
    require_extra("lab", "The workbench", "jupyterlab")
    command = module_command("jupyterlab", f"--port={port}")
    command += [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"]
    command.append(
        "--LanguageServerManager.autodetect=False"
    )  # servers of the environment open dialogs
    if not browser:
        command.append("--no-browser")
    if sys.platform != "win32" and os.geteuid() == 0:
        command.append("--allow-root")
    return command
