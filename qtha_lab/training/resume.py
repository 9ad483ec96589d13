"""Checkpoint from which a run resumes: the newest intact one.

Intact means: every file matches its manifest and can be read, all files belong to one step, and all
their numbers are finite. Builds no model.
"""

from __future__ import annotations

import logging
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers.trainer_pt_utils import safe_globals

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import load_tensors, read_mapping, refuse_inner_links, remove_unfinished
from qtha_lab.experiment.run_directory import RunDir, checkpoints
from qtha_lab.experiment.run_directory.events import EventLog, read_events

log = logging.getLogger(__name__)

ADAPTER, OPTIMIZER = "adapter_model.safetensors", "optimizer.pt"
STATE, SCHEDULER, RANDOM = "trainer_state.json", "scheduler.pt", "rng_state.pth"
RANDOM_OF_EACH = "rng_state_*.pth"  # one file per process of a distributed run
MOMENTS = ("exp_avg", "exp_avg_sq")


class ResumePoint(NamedTuple):
    """Checkpoint, step and note at which a session of a run starts."""

    checkpoint: Path | None
    step: int
    note: str = ""


def find_start(run: RunDir, events: EventLog) -> ResumePoint:
    """Select the checkpoint to resume from, and move damaged newer ones aside with a note.

    Raises:
        Refusal: If checkpoints exist but none is intact, or the folder holds a link.
    """
    refuse_inner_links(run.path)
    for folder in (run.path, run.checkpoints, run.best):
        remove_unfinished(folder)
    announced = checkpoints.announced_step(read_events(run.events)[0])
    checkpoints.discard_unfinished(run.checkpoints, after=announced)
    checkpoint, step, damaged = newest_complete(run.checkpoints)
    if announced > max(step, *damaged, 0):
        damaged = {announced: "it is missing"} | damaged
    if checkpoint is None and _complete_or_announced(run.checkpoints, damaged, announced):
        raise Refusal(
            f"No checkpoint of this run is whole: {_listed(damaged)}. Put the files back, or begin "
            f"again at step 0 with `qtha-lab resume {run.path.name} --anew`."
        )
    note = _note(checkpoint, step, damaged)
    if note:
        events.append("note", step=step, message=note)
    for path in (checkpoints.place(run.checkpoints, number) for number in damaged):
        if path.exists() or path.is_symlink():
            checkpoints.set_aside(path)
    if damaged:
        events.append("checkpoint", step=step)
    log.info("%s begins at step %d; %s", run.path.name, step, note or "nothing is damaged")
    return ResumePoint(checkpoint, step, note)


def newest_complete(folder: Path) -> tuple[Path | None, int, dict[int, str]]:
    """Return the newest intact checkpoint, its step, and the damage of each newer one."""
    damaged: dict[int, str] = {}
    for step, path in checkpoints.by_step(folder).items():
        wrong = checkpoints.damage(path) or unusable(path, step)
        if wrong is None:
            return path, step, damaged
        damaged[step] = wrong
    return None, 0, damaged


def unusable(folder: Path, step: int) -> str | None:
    """Describe the reason why training cannot resume from a checkpoint; None if it can."""
    if (read_mapping(folder / STATE) or {}).get("global_step") != step:
        return f"{STATE}: not of step {step}"
    try:
        adapter = load_tensors(folder / ADAPTER)
    except (OSError, ValueError) as reason:
        log.info("%s: %s", folder / ADAPTER, reason)
        return f"{ADAPTER}: missing or cut"
    if not all(map(_is_finite, adapter.values())):
        return f"{ADAPTER}: holds numbers that are not finite"
    random = sorted(path.name for path in folder.glob(RANDOM_OF_EACH)) or [RANDOM]
    states = {name: _read(folder / name) for name in (OPTIMIZER, SCHEDULER, *random)}
    unread = next((name for name, state in states.items() if not isinstance(state, dict)), None)
    if unread:
        return f"{unread}: missing, cut or of another kind"
    if not all(map(_is_finite, _moments(states[OPTIMIZER]))):
        return f"{OPTIMIZER}: holds numbers that are not finite"
    return None if checkpoints.is_checksummed(folder) else _unequal(adapter, states, step)


def _unequal(adapter: dict, states: dict[str, dict], step: int) -> str | None:
    """Describe a mismatch of tensors and moments, or of schedule and step; None if consistent."""
    half = list(_moments(states[OPTIMIZER], MOMENTS[:1]))
    without = Counter(m.shape for m in half) - Counter(t.shape for t in adapter.values())
    if without or not half:
        return f"{ADAPTER} and {OPTIMIZER}: not of the same tensors"
    if states[SCHEDULER].get("last_epoch") != step:
        return f"{SCHEDULER}: not of step {step}"
    return None


def _moments(optimizer: dict, names: tuple[str, ...] = MOMENTS):
    states = optimizer.get("state")
    for state in states.values() if isinstance(states, dict) else ():
        values = (state.get(name) for name in names) if isinstance(state, dict) else ()
        yield from (value for value in values if isinstance(value, torch.Tensor))


def _is_finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _read(path: Path) -> Any:
    """Read a torch file without running its code; return None if unreadable."""
    try:
        if not zipfile.is_zipfile(path):
            return None
        with safe_globals():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:  # corrupt bytes can raise any exception
        log.info("%s cannot be read: %r", path, reason)
        return None


def _complete_or_announced(folder: Path, damaged: dict[int, str], announced: int) -> bool:
    """Return True if a damaged checkpoint had been completed or announced by an event."""
    manifests = (checkpoints.place(folder, step) / checkpoints.MANIFEST for step in damaged)
    return bool(damaged) and (announced > 0 or any(path.exists() for path in manifests))


def _note(checkpoint: Path | None, step: int, damaged: dict[int, str]) -> str:
    parts = []
    if damaged:
        onward = f"going on from {step}" if checkpoint else "beginning at step 0"
        parts.append(f"{_listed(damaged)}, {onward}")
    if checkpoint and not checkpoints.is_checksummed(checkpoint):
        parts.append(
            f"checkpoint {step} has no checksums (version 0.2.0 wrote none): its files can be read "
            "and belong together, but a changed bit would not show"
        )
    return "; ".join(parts)


def _listed(damaged: dict[int, str]) -> str:
    return ", ".join(f"checkpoint {step} is damaged ({wrong})" for step, wrong in damaged.items())
