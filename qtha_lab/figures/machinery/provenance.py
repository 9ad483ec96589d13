"""Provenance of a figure as plain text for every format: runs, commit and versions.

Holds no time, so that the same figure written twice is the same file.
"""

import importlib.metadata
import logging
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from qtha_lab.core import paths
from qtha_lab.core.io import whole_number

log = logging.getLogger(__name__)
LAST_SECOND = 253_402_300_799  # of the year 9999, in seconds since 1970

PACKAGES = ("qtha-lab", "plotly", "kaleido")


def versions() -> dict[str, str]:
    """Return the versions of the drawing libraries by name."""
    numbers = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            numbers[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return numbers


@dataclass(frozen=True)
class Provenance:
    """Runs behind a figure, their commits, and the versions that drew the figure.

    Example:
        >>> origin = Provenance(runs=["r1", "r2"], commits=["abc"], versions={"plotly": "7.1.0"})
        >>> origin.words()
        {'runs': 'r1, r2', 'commit': 'abc', 'versions': 'plotly 7.1.0'}
    """

    runs: Iterable[str] = ()
    commits: Iterable[str] = ()
    versions: dict[str, str] = field(default_factory=versions)

    def words(self) -> dict[str, str]:
        """Return the known provenance as text by name."""
        texts = {
            "runs": ", ".join(self.runs),
            "commit": ", ".join(dict.fromkeys(self.commits)),
            "versions": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
        }
        return {name: text for name, text in texts.items() if text}


def this_checkout() -> list[str]:
    """Return the commit of the drawing code, if it is in a git checkout."""
    if not (paths.CHECKOUT / ".git").exists():
        return []
    words = ["git", "-C", str(paths.CHECKOUT), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as reason:
        log.debug("the figure names no commit: %s", reason)
        return []
    return [answer.stdout.strip()] if answer.returncode == 0 else []


def build_date(form: str) -> str | None:
    """Return the UTC time of `SOURCE_DATE_EPOCH`; None where it is not set.

    Source:
        https://reproducible-builds.org/specs/source-date-epoch/
    """
    epoch = whole_number(os.environ.get("SOURCE_DATE_EPOCH", ""), LAST_SECOND)
    return None if epoch is None else time.strftime(form, time.gmtime(epoch))
