"""What a run can be exported as, by name, and the one function that does it. A kind is a function in this room."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import as_path
from qtha_lab.core.settings import unknown

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run


@dataclass(frozen=True)
class Export:
    """What was made.

    Attributes:
        path: The folder or file.
        message: What is true of it, in a sentence.
    """

    path: Path
    message: str


@dataclass(frozen=True)
class Kind:
    """One way to take a run away.

    Attributes:
        place: `module:function` in this room; called with the run, the place and options of its own.
        summary: What it is, for a list.
        suffix: Of its file; "" for a folder.
    """

    place: str
    summary: str
    suffix: str = ""

    @property
    def make(self) -> Callable[..., str]:
        """What makes it, imported when it is first asked for."""
        module, _, function = self.place.partition(":")
        return getattr(importlib.import_module(f"qtha_lab.runs.export.{module}"), function)


KINDS = {
    "adapter": Kind("saved_files:save_adapter", "the adapter with its model card, as PEFT loads it"),
    "lora": Kind("matrices:fit_lora", "the best plain LoRA to it, for people without qtha-lab"),
    "merged": Kind("matrices:merge", "base and adapter in one model, where the mathematics allows"),
    "card": Kind("saved_files:copy_card", "the model card alone", ".md"),
    "notebook": Kind("description:write_notebook", "a notebook that repeats the run", ".ipynb"),
    "yaml": Kind("description:write_yaml", "the experiment as a file for `qtha-lab run`", ".yaml"),
    "python": Kind("description:write_python", "the experiment as Python", ".py"),
}


def export(run: Run, kind: str, to: Path | str | None = None, **options) -> Export:
    """Make something of a run that others can use.

    Args:
        run: Finished, or with a checkpoint for what needs its weights.
        kind: One of `KINDS`.
        to: A new or empty folder, or a file; default a place in the run's folder, made anew each time.
        options: The kind's own: `r` of a "lora".

    Raises:
        Refusal: If the kind is unknown, the place is taken, or the mathematics does not allow it.

    Example:
        >>> export(attach("20261124-153012-tiny-qa-qtha-s0-1a2b"), "lora", r=8).message  # doctest: +SKIP
        'rank 8, misses 3.1% of the change on held-out tokens'
    """
    if kind not in KINDS:
        raise unknown("export", kind, KINDS)
    place = default_place(run, kind) if to is None else as_path(to)
    if to is None:
        _empty(place)
    _check_free(place, KINDS[kind])
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        message = KINDS[kind].make(run, place, **options)
    except BaseException:
        _empty(place)  # nothing half-made stays
        raise
    return Export(place.resolve(), message)


def default_place(run: Run, kind: str) -> Path:
    """Where an export goes unless another place is named."""
    return run.path / "exports" / f"{run.id}-{kind}{KINDS[kind].suffix}"


def _check_free(place: Path, kind: Kind) -> None:
    if kind.suffix and place.exists():
        raise Refusal(f"{place} is there already: choose another name")
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        raise Refusal(f"{place} is not empty: choose a new folder")


def _empty(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
