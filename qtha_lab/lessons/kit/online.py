"""Installation cell and badges of notebooks for Colab and Binder.

Badges, and an installation from a repository, need the address of a repository.
"""

import re
from dataclasses import replace

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.lessons.kit.lesson_page import LessonPage

PACKAGE = "qtha-lab[lab]"
GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")


def online_page(page: LessonPage, repository: str = "", source: str = PACKAGE) -> LessonPage:
    """Return a lesson with badges, whose first code cell installs the package from a source.

    Args:
        page: Lesson as found.
        repository: Address on GitHub, for badges; without one there are none.
        source: Requirement of pip, such as the address of a wheel.
    """
    title, install, *others = page.cells
    if repository:
        title = replace(title, source=f"{badges(page, repository)}\n\n{title.source}")
        source = f"{PACKAGE} @ git+{repository}" if source == PACKAGE else source
    install = replace(install, source=install.source.replace(PACKAGE, source))
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
