"""An environment that holds the hard dependencies of the package and nothing else.

Links the installed distributions into a fresh virtual environment, so no network is used.
"""

import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def required(requirements: Iterable[str]) -> dict[str, importlib.metadata.Distribution]:
    """Map the canonical names of the requirements and of all that they require to distributions."""
    waiting = [*map(Requirement, requirements)]
    seen: set[tuple[str, str]] = set()
    distributions = {}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        new = {(name, extra) for extra in ("", *requirement.extras)} - seen
        if not new:
            continue
        seen |= new
        try:
            distributions[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        children = [*map(Requirement, distributions[name].requires or [])]
        for _, extra in new:
            waiting += [
                child
                for child in children
                if child.marker is None or child.marker.evaluate({"extra": extra})
            ]
    return distributions


def hard_dependencies() -> list[str]:
    """Return the hard dependencies that pyproject.toml declares."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def build(folder: Path) -> Path:
    """Create the environment with the checkout on its path, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for distribution in required(hard_dependencies()).values():
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}:
            place = Path(str(distribution.locate_file(top)))
            if top not in ("__pycache__", "..") and not (packages / top).exists():
                (packages / top).symlink_to(place)
    (packages / "checkout.pth").write_text(f"{ROOT}\n")
    return folder / "bin" / "python"
