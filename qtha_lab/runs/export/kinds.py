"""The kinds of export by name, and the function `export_run`.

Each kind is a function in this package.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, staged
from qtha_lab.core.paths import as_path
from qtha_lab.core.settings import unknown

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run


@dataclass(frozen=True)
class Export:
    """The result of an export.

    Attributes:
        path: The folder or file.
        message: A sentence about the result.
    """

    path: Path
    message: str


@dataclass(frozen=True)
class Kind:
    """A kind of export.

    Attributes:
        place: `module:function` in this package; called with the run, the path and its own options.
        summary: Description for a list.
        suffix: Suffix of its file; "" for a folder.
    """

    place: str
    summary: str
    suffix: str = ""

    @property
    def make(self) -> Callable[..., str]:
        """The function that creates the export, imported at the first access."""
        module, _, function = self.place.partition(":")
        return getattr(importlib.import_module(f"qtha_lab.runs.export.{module}"), function)


KINDS = {
    "adapter": Kind(
        "saved_files:save_adapter", "the adapter with its model card, as PEFT loads it"
    ),
    "lora": Kind("matrices:fit_lora", "the best plain LoRA to it, for people without qtha-lab"),
    "merged": Kind("matrices:merge", "base and adapter in one model, where the mathematics allows"),
    "card": Kind("saved_files:copy_card", "the model card alone", ".md"),
    "notebook": Kind("description:write_notebook", "a notebook that repeats the run", ".ipynb"),
    "yaml": Kind("description:write_yaml", "the experiment as a file for `qtha-lab run`", ".yaml"),
    "python": Kind("description:write_python", "the experiment as Python", ".py"),
}


def export_run(run: Run, kind: str, to: Path | str | None = None, **options) -> Export:
    """Export a run in one of the kinds.

    Args:
        run: A finished run, or one with a checkpoint for kinds that need its weights.
        kind: One of `KINDS`.
        to: A new or empty folder, or a file; default a path in the run's folder, replaced each
            time.
        options: Options of the kind: `r` and `offset` of a "lora".

    Raises:
        Refusal: If the kind is unknown, the path is taken, or the mathematics does not allow it.

    Example:
        >>> export_run(run, "lora", r=8).message  # doctest: +SKIP
        'rank 8, misses 3.1% of the change on held-out tokens'
    """
    if kind not in KINDS:
        raise unknown("export", kind, KINDS)
    place = default_place(run, kind) if to is None else as_path(to).resolve()
    below = run.path if to is None else None
    if to is not None:
        _check_free(place, KINDS[kind])
    make_folder(place.parent, below)
    with staged(place, below) as new:
        message = KINDS[kind].make(run, new, **options)
    return Export(place.resolve(), message)


def default_place(run: Run, kind: str) -> Path:
    """Return the default path of an export."""
    return run.path / "exports" / f"{run.id}-{kind}{KINDS[kind].suffix}"


def _check_free(place: Path, kind: Kind) -> None:
    if kind.suffix and place.exists():
        raise Refusal(f"The output {place} must not exist yet. Choose another name.")
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        raise Refusal(f"The output folder {place} must be empty. Choose another.")
