"""Speech recordings of one person, their texts and a synthesiser, from Debian packages.

The packages are not shipped. `fetch` downloads missing packages and their dependencies with apt,
and unpacks them into the cache folder. It needs Debian or a derivative, but no administrator
rights.

Source:
    `asterisk-core-sounds-en-wav` and `-en` (568 prompts by one woman, 8 kHz, CC BY-SA 3.0),
    `espeak-ng` (GPL-3.0).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, move, scratch_folder, show
from qtha_lab.core.paths import cache_dir

PACKAGES = ("asterisk-core-sounds-en-wav", "asterisk-core-sounds-en", "espeak-ng")
BY_HAND = f"sudo apt-get update && sudo apt-get install {' '.join(PACKAGES)}"
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
SYNTHESISER = "usr/bin/espeak-ng"
APT_SECONDS = 600.0
INSTALLED = Path("/")


@dataclass(frozen=True)
class Recordings:
    """Paths of recordings, texts and synthesiser.

    Attributes:
        root: Root folder of Debian's paths: `/`, or a folder in the cache.
    """

    root: Path

    @property
    def sounds(self) -> Path:
        """Folder of the recordings."""
        return self.root / SOUNDS

    @property
    def texts(self) -> Path:
        """File with the texts of the recordings."""
        return self.root / TEXTS

    def missing(self) -> list[str]:
        """Return the packages whose files are missing."""
        files = dict(zip(PACKAGES, (self.sounds, self.texts, self.root / SYNTHESISER), strict=True))
        return [name for name, file in files.items() if not file.exists()]

    def speak(self, text: str, file: Path) -> None:
        """Synthesise a text to a sound file."""
        program = self.root / SYNTHESISER
        done = subprocess.run(
            [program, "-v", "en-us+f3", "-w", file, "--", text],
            env=os.environ | self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refusal(f"Espeak-ng must synthesise the text, got {done.stderr.strip()[-200:]}.")

    def _environment(self) -> dict[str, str]:
        """Return environment variables for libraries and voices outside the system folders."""
        if self.root == INSTALLED:
            return {}
        libraries = sorted(self.root.glob("usr/lib/*-linux-*"))
        voices = next(iter(self.root.glob("usr/lib/*/espeak-ng-data")), self.root)
        return {
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "ESPEAK_DATA_PATH": str(voices.parent),
        }


def recordings() -> Recordings:
    """Return the recordings installed on this machine, else the fetched ones."""
    for root in (INSTALLED, _folder()):
        if not Recordings(root).missing():
            return Recordings(root)
    missing = ", ".join(Recordings(INSTALLED).missing())
    raise Refusal(f"The recordings {missing} are not on this machine. Run `qtha-lab fetch speech`.")


def fetch_recordings(say: Callable[[str], None] = show) -> Path:
    """Download missing packages into the cache folder and return that folder.

    Returns at once if nothing is missing.
    """
    for root in (INSTALLED, _folder()):
        if not Recordings(root).missing():
            say(f"recordings are there: {root}")
            return root
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise Refusal(
                f"{program} must be installed for the recordings, which are packages of Debian. "
                f"Install {', '.join(PACKAGES)} by hand."
            )
    make_folder(_folder().parent)
    with scratch_folder(_folder().parent) as new:
        names = _lacking()
        say(f"downloading {', '.join(names)} from Debian")
        _apt(["download", *names], Path(new))
        root = Path(new) / "root"
        for package in sorted(Path(new).glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
        if missing := Recordings(root).missing():
            raise Refusal(f"The packages have no files of {', '.join(missing)}. Run {BY_HAND}.")
        move(root, _folder())
    return _folder()


def _folder() -> Path:
    return cache_dir() / "speech" / "debian"


def _lacking() -> list[str]:
    """List the packages to download, with their missing dependencies."""
    planned = _apt(
        ["install", "--print-uris", "-qq", "--yes", "--no-install-recommends", *PACKAGES]
    )
    files = [line.split()[1] for line in planned.splitlines() if line.startswith("'")]
    return sorted({*PACKAGES, *(file.partition("_")[0] for file in files)})


def _apt(words: Sequence[str], folder: Path | None = None) -> str:
    """Run apt-get and return its output."""
    done = subprocess.run(
        ["apt-get", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=APT_SECONDS,
        env=os.environ | {"LC_ALL": "C"},
    )
    if done.returncode:
        words_of_apt = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refusal(
            f"`apt-get {words[0]}` must download the recordings, got "
            f"{words_of_apt[-1] if words_of_apt else 'no reason'}. Run {BY_HAND}."
        )
    return done.stdout
