"""PEFT's own test matrix with our methods put into it: `make peft-matrix`, or `python
tests/peft_matrix [pytest options]`.

Fetches the source release of the installed PEFT, whose tests are in it, makes the tiny models those
tests name in a model cache of its own (random weights, no network), and runs the suites that hold
for every method on linear layers. The suites of mixed models and of target parameters, whose tests
are about PEFT's own methods, run with ours registered. Everything lies under `.cache/peft-matrix`.
"""

import os
import subprocess
import sys
import tarfile
import zlib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".cache" / "peft-matrix"
SUITES = (
    "test_custom_models.py",
    "test_decoder_models.py",
    "test_encoder_decoder_models.py",
    "test_feature_extraction_models.py",
    "test_seq_classifier.py",
    "test_mixed.py",
    "test_target_parameters.py",
)


def main(options: list[str]) -> int:
    peft = source_of_peft()
    libraries = HOME / "libraries"
    if not (libraries / "parameterized").is_dir():  # of the tests; diffusers is imported alone
        _pip(
            "install",
            "--no-deps",
            "--target",
            libraries,
            "diffusers",
            "pillow",
            "importlib_metadata",
            "parameterized",
        )
    mould = Path(__file__).with_name("models.py").read_bytes()
    cache = HOME / f"models-{zlib.crc32(mould):08x}"
    if not cache.is_dir():
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"from peft_matrix.models import *; make_models(Path({str(cache)!r}))",
            ],
            cwd=ROOT / "tests",
            check=True,
        )
    paths = [ROOT / "tests", libraries, os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "peft_matrix.plugin", "-c", os.devnull,
        "--rootdir", peft, *[peft / "tests" / suite for suite in SUITES], *options,
    ]  # fmt: skip
    return subprocess.run(list(map(str, command)), cwd=peft, env=environment).returncode


def source_of_peft() -> Path:
    """The unpacked source release of the PEFT that is installed."""
    name = f"peft-{version('peft')}"
    if not (HOME / name / "tests" / "testing_common.py").is_file():
        HOME.mkdir(parents=True, exist_ok=True)
        _pip(
            "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
            "--dest", HOME, name.replace("-", "=="),
        )  # fmt: skip
        with tarfile.open(HOME / f"{name}.tar.gz") as packed:
            packed.extractall(HOME, filter="data")
        (HOME / name / "tests" / "__init__.py").touch()
    return HOME / name


def _pip(*options) -> None:
    subprocess.run([sys.executable, "-m", "pip", *map(str, options), "--quiet"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
