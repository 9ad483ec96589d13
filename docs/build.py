"""Build the documentation into out/docs; refuse in a sentence if packages are missing.

Usage: python docs/build.py [FOLDER]   (`make docs`). Needs the extra `docs` of pyproject.toml.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_LITE = 3  # exit status of docs/lite.py without npm or a registry


def missing_packages() -> list[str]:
    """Return the packages of the extra `docs` that are not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[\[<>=]", line)[0] for line in project["optional-dependencies"]["docs"]]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main(folder: str = "out/docs") -> int:
    """Build the site with its JupyterLite pages; return 2 if packages are missing."""
    if missing := missing_packages():
        message = f"error: the documentation needs {', '.join(missing)}: pip install -e '.[docs]'"
        print(message, file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    if status:
        return status
    pages = [sys.executable, "docs/lite.py", f"{folder}/lite"]
    status = subprocess.run(pages, cwd=ROOT).returncode
    return 0 if status == WITHOUT_LITE else status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
