"""Sizes of the packages that an installation of qtha-lab brings, largest first.

    python tools/installed_size.py            the package alone
    python tools/installed_size.py lab sweep  with extras

Reads the metadata of this environment, which must hold the extras.
"""

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LISTED = 12


def needed(extras: set[str]) -> dict[str, Distribution]:
    """Return qtha-lab and all packages that it requires, by name."""
    found: dict[str, Distribution] = {}
    asked = [(Requirement(f"qtha-lab[{','.join(extras)}]"))]
    seen = set()
    while asked:
        requirement = asked.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for line in found[name].requires or ():
            further = Requirement(line)
            marker = further.marker
            if not marker or any(marker.evaluate({"extra": e}) for e in {"", *requirement.extras}):
                asked.append(further)
    return found


def megabytes(package: Distribution) -> float:
    """Return the size of a package's files."""
    places = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(path.stat().st_size for path in places if path.is_file()) / 1e6


if __name__ == "__main__":
    sizes = {name: megabytes(package) for name, package in needed(set(sys.argv[1:])).items()}
    print(f"{len(sizes)} packages, {sum(sizes.values()):,.0f} MB")
    for name in sorted(sizes, key=lambda name: -sizes[name])[:LISTED]:
        print(f"{name:24}{sizes[name]:8,.0f} MB")
