"""First cell and badges for notebooks on Colab and Binder.

The cell installs the package, or says that it is there. Badges need the address of a repository.
"""

import re
from dataclasses import replace

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.lessons.kit.lesson_page import LessonCell, LessonPage

INSTALL = """import importlib.util

if importlib.util.find_spec("qtha_lab") is None:
    %pip install --quiet "{source}"
print("qtha-lab is installed.")"""
PACKAGE = "qtha-lab[lab]"
GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")


def online_page(page: LessonPage, repository: str = "", source: str = PACKAGE) -> LessonPage:
    """Return a lesson whose second cell installs the package where it is missing.

    Args:
        page: Lesson as found.
        repository: Address on GitHub, for badges; without one there are none.
        source: Requirement of pip, such as the address of a wheel.
    """
    title, *others = page.cells
    if repository:
        title = replace(title, source=f"{badges(page, repository)}\n\n{title.source}")
        source = f"{PACKAGE} @ git+{repository}" if source == PACKAGE else source
    data = {"cell_type": "code", "id": "install", "metadata": {}}
    install = LessonCell("code", INSTALL.format(source=source), "code", "", (), data)
    return replace(page, cells=(title, install, *others))


def badges(page: LessonPage, repository: str) -> str:
    """Return links in Markdown that open a lesson on Colab and on Binder.

    Raises:
        Refusal: If the address is not that of a repository on GitHub.
    """
    found = GITHUB.fullmatch(repository)
    if found is None:
        raise Refusal(
            "repository must be an address such as https://github.com/owner/name, got "
            f"{shortened(repr(repository))}."
        )
    owner, name = found.groups()
    path = f"notebooks/{page.stem}.ipynb"
    colab = f"https://colab.research.google.com/github/{owner}/{name}/blob/HEAD/{path}"
    binder = f"https://mybinder.org/v2/gh/{owner}/{name}/HEAD?labpath={path.replace('/', '%2F')}"
    return f"[Open in Colab]({colab}) · [Open on Binder]({binder})"
