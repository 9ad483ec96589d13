"""Kinds of export by name, those of a description or of saved files, and `export_run`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import copy, make_folder, refuse_links, staged, write_atomically
from qtha_lab.core.paths import as_path
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.prediction_settings import FILE, PredictionSettings
from qtha_lab.runs.trained_model import adapter_of, plan_of

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
    "adapter": Kind("kinds:save_adapter", "the adapter with its model card, as PEFT loads it"),
    "lora": Kind("matrices:fit_lora", "the best plain LoRA to it, for people without qtha-lab"),
    "merged": Kind("matrices:merge", "base and adapter in one model, where the mathematics allows"),
    "card": Kind("kinds:copy_card", "the model card alone", ".md"),
    "notebook": Kind("kinds:write_notebook", "a notebook that repeats the run", ".ipynb"),
    "yaml": Kind("kinds:write_yaml", "the experiment as a file for `qtha-lab run`", ".yaml"),
    "python": Kind("kinds:write_python", "the experiment as Python", ".py"),
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


def write_yaml(run: Run, file: Path) -> str:
    """Write the experiment as a YAML file."""
    write_atomically(file, run.experiment.to_yaml())
    return f"qtha-lab run {file.name} repeats it"


def write_python(run: Run, file: Path) -> str:
    """Write the experiment as Python code."""
    write_atomically(file, run.experiment.to_python())
    return f"python {file.name} repeats it"


def write_notebook(run: Run, file: Path) -> str:
    """Write a notebook that launches the experiment and shows its results."""
    write_atomically(file, run.experiment.to_notebook())
    return "Run All repeats it"


ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md")
PREDICTION_FILES = (
    FILE,
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
START_FILE = "start.safetensors"  # as `adapters.initialisation.lora.FILE`


def save_adapter(run: Run, folder: Path) -> str:
    """Copy the adapter and its model card.

    For an unfinished run, these are the files of the newest checkpoint.
    """
    source, note = adapter_of(run.files)
    make_folder(folder)
    for name in (*ADAPTER_FILES, *PREDICTION_FILES, START_FILE):
        refuse_links(source / name, run.path)
    for name in (*ADAPTER_FILES, *PREDICTION_FILES):
        if (source / name).is_file():
            copy(source / name, folder / name, inside=run.path)
    if (
        source / START_FILE
    ).is_file():  # a checkpoint whose initialisation was subtracted from the base's weights
        from qtha_lab.adapters import save_whole

        save_whole(source, folder)
    if not (source / FILE).is_file():  # a checkpoint, or a run of an earlier version
        _save_settings(run, folder)
    return ", ".join(
        filter(None, ["loads with qtha_lab.load_adapter or PEFT (see its card)", note])
    )


def _save_settings(run: Run, folder: Path) -> None:
    """Save the settings of predictions from the run's task and the files of its base."""
    from qtha_lab.models.catalogue import folder_of
    from qtha_lab.models.config_files import load_config
    from qtha_lab.models.tokenizers import load_tokenizer

    settings = PredictionSettings.of(plan_of(run.files))
    base = folder_of(run.experiment.model)
    tokenizer, config = load_tokenizer(base), load_config(base, settings.n_labels)
    config.pad_token_id = tokenizer.pad_token_id
    settings.save(folder, config, tokenizer)


def copy_card(run: Run, file: Path) -> str:
    """Copy the model card.

    Raises:
        Refusal: If the run has not finished, because the card is written at the end.
    """
    card = run.files.adapter / "README.md"
    if not card.is_file():
        raise Refusal(
            f"A run with a model card must be finished, got {run.status().state} for {run.id}."
        )
    copy(card, file, inside=run.path)
    return "the card that stands beside the adapter"
