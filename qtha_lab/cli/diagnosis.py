"""Checks of a machine for qtha-lab; each finding has a command that repairs it.

The checks change nothing; a lock is tried on an unnamed file in the folder of runs.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.locks import check_locks
from qtha_lab.core.paths import cache_dir, data_dir, is_checkout, kernels_dir, runs_dir

if TYPE_CHECKING:
    from qtha_lab.simulators.cpu.compiled import Watcher

CORE = "torch transformers peft accelerate pennylane pennylane-lightning numba tensornetwork plotly"
EXTRAS = {
    "jupyterlab": "lab",
    "ipywidgets": "lab",
    "anywidget": "lab",
    "kaleido": "figures",
    "optuna": "sweep",
    "sacrebleu": "scores",
}


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check: `level` is "ok", "note" (works without) or "problem"."""

    name: str
    level: str
    message: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON data; the message has the key `said`."""
        return {"name": self.name, "level": self.level, "said": self.message, "mend": self.mend}


def examine() -> list[Diagnosis]:
    """Check Python, packages, plugins, models, disk and browser."""
    return [
        _python(),
        *map(_package, (*CORE.split(), *EXTRAS)),
        *_plugins(),
        *_models(),
        _runs(),
        _cache(),
        _kernels(),
        _starts(),
        _browser(),
        _gpu(),
    ]


def _python() -> Diagnosis:
    return Diagnosis("python", "ok", sys.version.split()[0])


def _package(name: str) -> Diagnosis:
    try:
        return Diagnosis(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        if name in EXTRAS:
            return Diagnosis(
                name, "note", "not installed", f'pip install "qtha-lab[{EXTRAS[name]}]"'
            )
        mend = "make install" if is_checkout() else f"pip install {name}"
        return Diagnosis(name, "problem", "not installed", mend)


def _plugins() -> list[Diagnosis]:
    """List the plugins of other packages that cannot be imported."""
    packages = ("torch", "transformers", "peft", "pennylane")
    if not all(map(importlib.util.find_spec, packages)):
        return []  # reported already; the registries need these packages
    from qtha_lab.testing.checking import registries

    for registry in registries():
        registry.discover()
    return [
        Diagnosis(
            f"{registry.kind} {name}", "note", f"left out: {problem}", "mend or remove that package"
        )
        for registry in registries()
        for name, problem in registry.broken.items()
    ]


def _models() -> list[Diagnosis]:
    from qtha_lab.models import is_available, model_names

    return [
        (
            Diagnosis(f"model {name}", "ok", "here")
            if is_available(name)
            else Diagnosis(f"model {name}", "note", "not here yet", f"qtha-lab fetch {name}")
        )
        for name in model_names()
    ]


def _runs() -> Diagnosis:
    folder = runs_dir()
    parent = next(p for p in [folder, *folder.parents] if p.exists())
    free = shutil.disk_usage(parent).free / 2**30
    if not os.access(parent, os.W_OK):
        return Diagnosis("runs", "problem", f"{folder} is not writable", "set QTHA_LAB_RUNS")
    if free < 1:
        return Diagnosis("runs", "problem", f"{free:.1f} GiB free at {folder}", "free some disk")
    try:
        check_locks(parent)
    except Refusal as refused:
        return Diagnosis("runs", "problem", str(refused), "set QTHA_LAB_RUNS")
    return Diagnosis("runs", "ok", f"{folder}, {free:.0f} GiB free")


def _cache() -> Diagnosis:
    level = "ok" if data_dir().is_dir() else "problem"
    return Diagnosis("data", level, f"{data_dir()}; fetched models in {cache_dir()}")


def _kernels() -> Diagnosis:
    """Check that engine `cpu` compiles, and that the compiled kernels are cached."""
    from qtha_lab.circuits import Circuit
    from qtha_lab.simulators.engine_selection import check_engine

    try:
        check_engine("cpu", Circuit(1, []))
    except Refusal as refused:
        return Diagnosis("kernels", "note", f"{refused}, which is slower", "pip install -U numba")
    from qtha_lab.simulators.cpu.compiled import cache_fault

    if fault := cache_fault():
        return Diagnosis("kernels", "note", fault, "set QTHA_LAB_CACHE to a folder that can")
    return Diagnosis("kernels", "ok", f"compiled; stored in {kernels_dir()}")


def compile_kernels(watcher: "Watcher") -> None:
    """Compile the kernels of engine `cpu`, which a first use would compile; call after each."""
    import torch

    from qtha_lab.simulators.cpu.compiled import watched
    from qtha_lab.simulators.cpu.engine import compiler_fault, load_kernels

    with watched(watcher):
        if not compiler_fault():  # the findings name it
            for dtype in (torch.float32, torch.float64):
                load_kernels(dtype)


def _starts() -> Diagnosis:
    """Check that the runs of a launch share imported libraries."""
    from qtha_lab.runs.process_start import fork_hindrance

    if reason := fork_hindrance():
        message = f"each run imports its libraries, some six seconds: {reason}"
        return Diagnosis("starts", "note", message)
    return Diagnosis("starts", "ok", "the scheduler process of a launch forks its runs")


def _browser() -> Diagnosis:
    path = os.environ.get("BROWSER_PATH")
    for candidate in [path, "chromium", "chromium-browser", "google-chrome", "chrome"]:
        if candidate and (program := shutil.which(candidate)):
            return Diagnosis("browser", "ok", program)
    message = (
        "no Chromium or Chrome: no pdf, svg or png of figures; html, csv and tex work, the browser"
        " test cannot run"
    )
    return Diagnosis("browser", "note", message, "install chromium, or set BROWSER_PATH")


def _gpu() -> Diagnosis:
    if importlib.util.find_spec("torch") is None:
        return Diagnosis("accelerator", "note", "unknown without torch")
    import torch

    if torch.cuda.is_available():
        return Diagnosis("accelerator", "ok", torch.cuda.get_device_name())
    message = f"none; {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
    return Diagnosis("accelerator", "note", message)
