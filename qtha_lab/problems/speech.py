"""One woman's telephone prompts, the same texts from a synthesiser, and her voice taken apart and put together again.

Recordings and texts are Debian's `asterisk-core-sounds-en-wav` and `-en` (568 prompts, 8 kHz, CC BY-SA 3.0), the
synthesiser is `espeak-ng`, the vocoder WORLD (`pyworld`): fetched, never shipped. All three get one level, one band
(300 to 3,400 Hz) and one length. With one speaker it is told whether this voice speaks or a machine does; what is
learnt of it need not hold for other voices.
"""

from __future__ import annotations

import gzip
import importlib.machinery
import importlib.util
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.errors import Refusal
from qtha_lab.paths import cache_dir

SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
RATE = 8000
FRAMES, HOP, WINDOW = 64, 80, 200  # frames of 25 ms every 10 ms
COEFFICIENTS, BANDS = 13, 26
LONG = (FRAMES - 1) * HOP + WINDOW
BAND = (300.0, 3400.0)
VOICES = ("human", "espeak", "resynthesis")


@dataclass(frozen=True)
class Speech:
    """MFCC of the same texts in three voices.

    Attributes:
        features: By voice, a text a row: 13 coefficients of 64 frames, each coefficient of mean 0 and spread 1.
    """

    features: dict[str, Float[Tensor, "texts 13 64"]]


def speech() -> Speech:
    """The features of all prompts of a second or more, made once and kept in the cache folder.

    Raises:
        Refusal: If sounds, synthesiser or vocoder are not installed; it says how they are.
    """
    file = cache_dir() / "speech" / "mfcc-1.npz"
    if not file.exists():
        check_installed()
        made = _made()
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".npz", delete=False) as new:
            np.savez(new, **made)
        Path(new.name).rename(file)
    with np.load(file) as kept:
        return Speech({voice: torch.tensor(kept[voice]) for voice in VOICES})


def check_installed() -> None:
    """Refuse to go on without recordings, synthesiser and vocoder.

    Raises:
        Refusal: With what is missing and the command that installs it.
    """
    packages = {
        "asterisk-core-sounds-en-wav": SOUNDS.is_dir(), "asterisk-core-sounds-en": TEXTS.is_file(),
        "espeak-ng": shutil.which("espeak-ng") is not None,
    }  # fmt: skip
    missing = [name for name, is_there in packages.items() if not is_there]
    commands = [f"sudo apt-get install {' '.join(missing)}"] if missing else []
    if importlib.util.find_spec("pyworld") is None:
        missing, commands = [*missing, "pyworld"], [*commands, "pip install 'qtha-lab[speech]'"]
    if missing:
        raise Refusal(f"speech needs {', '.join(missing)}: {' and '.join(commands)} (Debian)")


def texts() -> dict[str, str]:
    """What is said in each recording, by its name; sounds that are no speech are left out."""
    with gzip.open(TEXTS, "rt", encoding="utf-8") as file:
        pairs = (line.strip().partition(": ") for line in file if not line.startswith(";"))
        said = {name: text.strip() for name, colon, text in pairs if colon}
    return {name: text for name, text in said.items() if text and not text.startswith("[")}


def _made() -> dict[str, np.ndarray]:
    world = _world()
    rows: dict[str, list[np.ndarray]] = {voice: [] for voice in VOICES}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sorted(texts().items()):
            file = SOUNDS / f"{name}.wav"
            if not file.is_file():
                continue
            human, spoken = _trimmed(_read(file)), _trimmed(_synthesised(text, Path(folder)))
            if min(len(human), len(spoken)) < LONG:
                continue
            voices = {"human": human, "espeak": spoken, "resynthesis": _resynthesised(human, world)}
            for voice in VOICES:
                rows[voice].append(mfcc(_level(_in_band(voices[voice]))[:LONG]))
    every = np.concatenate([np.stack(rows[voice]) for voice in VOICES])
    mean, spread = every.mean((0, 2), keepdims=True), every.std((0, 2), keepdims=True)
    return {v: ((np.stack(rows[v]) - mean) / spread).astype(np.float32) for v in VOICES}


def mfcc(sound: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "13 frames"]:
    """Mel cepstrum: logarithms of 26 triangular bands of each frame's power, and their cosines 1 to 13.

    Args:
        sound: At 8 kHz; the 0th cosine, the level, is left out.

    Source:
        Davis and Mermelstein 1980; bands and frames as usual in speech recognition [R].
    """
    from scipy.fft import dct

    starts = np.arange(0, len(sound) - WINDOW + 1, HOP)
    frames = sound[starts[:, None] + np.arange(WINDOW)] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, 256)) ** 2
    logs = np.log(power @ _mel_bands().T + 1e-8)
    return dct(logs, type=2, axis=1, norm="ortho")[:, 1 : COEFFICIENTS + 1].T


def _mel_bands() -> np.ndarray:
    """Triangles on the mel scale over the band that all voices keep, (bands, frequencies)."""
    ends = 2595 * np.log10(1 + np.array(BAND) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, BANDS + 2) / 2595) - 1)
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


def _synthesised(text: str, folder: Path) -> np.ndarray:
    file = folder / "spoken.wav"
    subprocess.run(
        ["espeak-ng", "-v", "en-us+f3", "-w", str(file), "--", text],
        check=True,
        capture_output=True,
    )
    return _read(file)


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """From the first 10 ms that are louder than a fiftieth of the loudest."""
    count = len(sound) // HOP
    loudness = np.sqrt((sound[: count * HOP].reshape(count, HOP) ** 2).mean(1))
    return sound[HOP * int((loudness > loudness.max() / 50).argmax()) :] if count else sound


def _in_band(sound: np.ndarray) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(4, BAND, "bandpass", fs=RATE, output="sos"), sound)


def _level(sound: np.ndarray) -> np.ndarray:
    return sound / np.sqrt((sound[:LONG] ** 2).mean())


def _resynthesised(sound: np.ndarray, world: ModuleType) -> np.ndarray:
    """Pitch, envelope and noise of a voice by WORLD, and a voice made of them."""
    sound = np.ascontiguousarray(sound[: 2 * LONG])
    pitch, times = world.dio(sound, RATE)
    pitch = world.stonemask(sound, pitch, times, RATE)
    envelope = world.cheaptrick(sound, pitch, times, RATE)
    noise = world.d4c(sound, pitch, times, RATE)
    return world.synthesize(pitch, envelope, noise, RATE)


def _world() -> ModuleType:
    """pyworld's compiled part: its package asks for `pkg_resources`, which setuptools no longer has."""
    package = importlib.util.find_spec("pyworld")
    folders = list(package.submodule_search_locations or ()) if package else []
    endings = importlib.machinery.EXTENSION_SUFFIXES
    files = [
        f for folder in folders for end in endings for f in Path(folder).glob(f"pyworld*{end}")
    ]
    if not files:
        raise Refusal("pyworld is damaged: pip install --force-reinstall pyworld")
    loader = importlib.machinery.ExtensionFileLoader("pyworld.pyworld", str(files[0]))
    spec = importlib.util.spec_from_file_location("pyworld.pyworld", files[0], loader=loader)
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
