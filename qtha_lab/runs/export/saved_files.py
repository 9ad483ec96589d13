"""Exports of files that a run has already saved."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import copy, make_folder, refuse_links
from qtha_lab.runs.trained_model import adapter_of

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md")
START_FILE = "start.safetensors"  # as `adapters.initialisation.lora.FILE`


def save_adapter(run: "Run", folder: Path) -> str:
    """Copy the adapter and its model card.

    For an unfinished run, these are the files of the newest checkpoint.
    """
    source, note = adapter_of(run.files)
    make_folder(folder)
    for name in (*ADAPTER_FILES, START_FILE):
        refuse_links(source / name, run.path)
    for name in ADAPTER_FILES:
        if (source / name).is_file():
            copy(source / name, folder / name, inside=run.path)
    if (
        source / START_FILE
    ).is_file():  # a checkpoint whose initialisation was subtracted from the base's weights
        from qtha_lab.adapters import save_whole

        save_whole(source, folder)
    return ", ".join(
        filter(None, ["loads with qtha_lab.load_adapter or PEFT (see its card)", note])
    )


def copy_card(run: "Run", file: Path) -> str:
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
