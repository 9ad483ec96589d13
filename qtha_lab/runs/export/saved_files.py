"""Exports of files that a run has already saved."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import copy, make_folder, refuse_links
from qtha_lab.experiment.prediction_settings import FILE, PredictionSettings
from qtha_lab.runs.trained_model import adapter_of, plan_of

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md")
PREDICTION_FILES = (
    FILE,
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
START_FILE = "start.safetensors"  # as `adapters.initialisation.lora.FILE`


def save_adapter(run: "Run", folder: Path) -> str:
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


def _save_settings(run: "Run", folder: Path) -> None:
    """Save the settings of predictions from the run's task and the files of its base."""
    from qtha_lab.models.catalogue import folder_of
    from qtha_lab.models.config_files import load_config
    from qtha_lab.models.tokenizers import load_tokenizer

    settings = PredictionSettings.of(plan_of(run.files))
    base = folder_of(run.experiment.model)
    tokenizer, config = load_tokenizer(base), load_config(base, settings.n_labels)
    config.pad_token_id = tokenizer.pad_token_id
    settings.save(folder, config, tokenizer)


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
