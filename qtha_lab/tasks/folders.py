"""Check of a data set folder by its file names, before a library opens it."""

import os
from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.errors import Refusal

ROWS = {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow"}
NO_ROWS = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
MOST_FILES = 10_000


def check_folder(folder: Path) -> None:
    """Refuse a folder that is no data set.

    Such a folder has no files of rows, holds a model, or has more than `MOST_FILES` files.

    Raises:
        Refusal: With the folder.
    """
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        raise Refusal(f"{folder} holds a model, not rows of a task")
    names = []
    for name in _file_names(folder):
        names.append(name)
        if len(names) > MOST_FILES:
            raise Refusal(
                f"{folder} holds more than {MOST_FILES:,} files: give the folder of the data set alone"
            )
    if not any(ROWS & set(Path(name).suffixes) for name in names if name not in NO_ROWS):
        raise Refusal(
            f"{folder} holds no rows of a task: none of its files is {', '.join(sorted(ROWS))}"
        )


def _file_names(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, without hidden files and folders."""
    for _, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith((".", "__"))]
        yield from (name for name in names if not name.startswith("."))
