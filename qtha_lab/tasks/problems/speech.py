"""Speech features of a woman, a synthesiser and a vocoder, for spoof detection.

Recordings, texts and synthesiser come from Debian packages, which are not shipped. `fetch`
downloads them with apt into the cache folder; it needs Debian or a derivative, but no administrator
rights. The vocoder is WORLD (`pyworld`). All
three voices have the same band (300 to 3,400 Hz), level, length and noise (40 dB below). So neither
these properties nor digital silence distinguish them. Results for one person need not hold for
other voices, microphones or synthesisers.

Source:
    `asterisk-core-sounds-en-wav` and `-en` (568 prompts by one woman, 8 kHz, CC BY-SA 3.0),
    `espeak-ng` (GPL-3.0).
"""

from __future__ import annotations

import gzip
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, move, open_file, replacing, scratch_folder, show
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.paths import cache_dir

RATE = 8000
FRAMES, HOP, WINDOW = 64, 80, 200  # frames of 25 ms every 10 ms
COEFFICIENTS, BANDS = 13, 26
LONG = (FRAMES - 1) * HOP + WINDOW
BAND = (300.0, 3400.0)
NOISE = 10 ** (-40 / 20)  # 40 dB below a voice of mean square 1
VOICES = ("human", "espeak", "resynthesis")


@dataclass(frozen=True)
class Speech:
    """MFCC features of the same texts in three voices.

    Attributes:
        features: Features by voice, one prompt per row: 13 coefficients of 64 frames.
        texts: Text of each row, in lower case; some prompts have equal texts.
    """

    features: dict[str, Float[Tensor, "prompts 13 64"]]
    texts: tuple[str, ...]

    def split(
        self, seed: int, shares: tuple[float, float] = (0.6, 0.15)
    ) -> list[Int[Tensor, " n"]]:
        """Split rows into training, evaluation and test; no text is on two sides.

        Args:
            seed: Seed of the order of texts.
            shares: Shares of the texts for training and for evaluation; the rest is the test.
        """
        unique = sorted(set(self.texts))
        order = np.random.default_rng(seed).permutation(len(unique))
        cuts = np.cumsum([round(share * len(unique)) for share in shares])
        side = np.searchsorted(cuts, np.argsort(order), side="right")
        sides = torch.tensor([side[unique.index(text)] for text in self.texts])
        return [torch.nonzero(sides == number).flatten() for number in range(3)]


def speech() -> Speech:
    """Compute or load the features of all prompts with 64 frames in every voice.

    The result is stored in the cache folder.
    """
    file = _features_file()
    if not file.exists():
        features: dict[str, Any] = _features()
        make_folder(file.parent)
        with replacing(file) as new:
            np.savez(new, **features)
    with open_file(file) as packed, np.load(packed) as saved:
        features = {voice: torch.tensor(saved[voice]) for voice in VOICES}
        return Speech(features, tuple(map(str, saved["texts"])))


def fetch_speech(say: Callable[[str], None] = show) -> Path:
    """Fetch the recordings, compute the features and return their file.

    Returns at once if the file exists.
    """
    file = _features_file()
    if not file.exists():
        _world()
        fetch_recordings(say)
        say("making features of three voices, about a minute")
        speech()
    return file


def check_speech() -> None:
    """Refuse to continue if features and their sources are missing."""
    if not _features_file().exists():
        recordings()
        _world()


def texts(file: Path) -> dict[str, str]:
    """Read the text of each recording by its name, without sounds that are no speech."""
    with open_file(file) as packed, gzip.open(packed, "rt", encoding="utf-8") as lines:
        pairs = (line.strip().partition(": ") for line in lines if not line.startswith(";"))
        spoken = {name: text.strip() for name, colon, text in pairs if colon}
    return {name: text for name, text in spoken.items() if text and not text.startswith("[")}


def _features_file() -> Path:
    return cache_dir() / "speech" / "mfcc-1.npz"


def _features() -> dict[str, np.ndarray]:
    world, source = _world(), recordings()
    rows: dict[str, list[np.ndarray]] = {voice: [] for voice in VOICES}
    spoken: list[str] = []
    with scratch_folder() as folder:
        for name, text in sorted(texts(source.texts).items()):
            file, recording = source.sounds / f"{name}.wav", Path(folder) / "spoken.wav"
            if not file.is_file():
                continue
            source.speak(text, recording)
            human = _trimmed(_read(file))
            if len(human) < LONG:
                continue
            voices = human, _trimmed(_read(recording)), _trimmed(_resynthesised(human, world))
            if min(map(len, voices)) < LONG:
                continue
            noise = np.random.default_rng(len(spoken)).normal(0, NOISE, LONG)
            for voice, sound in zip(VOICES, voices, strict=True):
                rows[voice].append(mfcc(_level(_in_band(sound)) + noise))
            spoken.append(text.lower())
    features = {voice: np.stack(rows[voice]).astype(np.float32) for voice in VOICES}
    return {**features, "texts": np.array(spoken)}


def mfcc(sound: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "13 frames"]:
    """Compute mel-frequency cepstral coefficients 1 to 13.

    These are the cosine transform of the logarithms of 26 triangular bands of each frame's power.

    Source:
        Davis and Mermelstein 1980; bands and frames as usual in speech recognition [R].
    """
    from scipy.fft import dct

    starts = np.arange(0, len(sound) - WINDOW + 1, HOP)
    frames = sound[starts[:, None] + np.arange(WINDOW)] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, 256)) ** 2
    logs = np.log(power @ _mel_bands().T + 1e-8)
    cosines = np.asarray(dct(logs, type=2, axis=1, norm="ortho"))
    return cosines[:, 1 : COEFFICIENTS + 1].T


def _mel_bands() -> np.ndarray:
    """Build triangular filters on the mel scale over the common band, (bands, frequencies)."""
    ends = 2595 * np.log10(1 + np.array(BAND) / 700)
    edges = 700 * (10 ** (np.linspace(ends[0], ends[1], BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(256, 1 / RATE)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.clip(np.minimum(rising, falling), 0, None)


def _read(file: Path) -> np.ndarray:
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    rate, samples = wavfile.read(file)
    sound = samples.astype(float) / 2**15
    if rate == RATE:
        return sound
    divisor = int(np.gcd(rate, RATE))
    return resample_poly(sound, RATE // divisor, rate // divisor)


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Cut the silence before the first 10 ms above 1/50 of the maximum amplitude."""
    count = len(sound) // HOP
    loudness = np.sqrt((sound[: count * HOP].reshape(count, HOP) ** 2).mean(1))
    return sound[HOP * int((loudness > loudness.max() / 50).argmax()) :] if count else sound


def _in_band(sound: np.ndarray) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(4, BAND, "bandpass", fs=RATE, output="sos"), sound)


def _level(sound: np.ndarray) -> np.ndarray:
    """Normalise the first 64 frames to mean square 1."""
    return sound[:LONG] / np.sqrt((sound[:LONG] ** 2).mean())


def _resynthesised(sound: np.ndarray, world: ModuleType) -> np.ndarray:
    """Analyse a voice by WORLD into pitch, envelope and noise, and resynthesise it."""
    sound = np.ascontiguousarray(sound[: 2 * LONG])
    pitch, times = world.dio(sound, RATE)
    pitch = world.stonemask(sound, pitch, times, RATE)
    envelope = world.cheaptrick(sound, pitch, times, RATE)
    noise = world.d4c(sound, pitch, times, RATE)
    return world.synthesize(pitch, envelope, noise, RATE)


def _world() -> ModuleType:
    """Load pyworld's compiled module directly.

    Its package imports `pkg_resources`, which setuptools no longer has.
    """
    require_extra("speech", "Speech synthesis", "pyworld")
    package = importlib.util.find_spec("pyworld")
    assert package is not None  # as just required
    folders = list(package.submodule_search_locations or ())
    endings = importlib.machinery.EXTENSION_SUFFIXES
    files = [
        f for folder in folders for end in endings for f in Path(folder).glob(f"pyworld*{end}")
    ]
    if not files:
        raise Refusal("pyworld has no compiled module. Run pip install --force-reinstall pyworld.")
    loader = importlib.machinery.ExtensionFileLoader("pyworld.pyworld", str(files[0]))
    spec = importlib.util.spec_from_file_location("pyworld.pyworld", files[0], loader=loader)
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


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
