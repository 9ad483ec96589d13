"""Whether a folder can be a data set, by its file names before a library reads it for long."""

import os
from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.errors import Refusal

ROWS = {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow"}
NO_ROWS = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
MOST_FILES = 10_000


def check_folder(folder: Path) -> None:
    """Refuse a folder without files of rows, a model's folder, and one that holds far more than a data set.

    Raises:
        Refusal: One sentence with the folder.
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
    """Names of the files below a folder, the hidden ones left out as a data set leaves them out."""
    for _, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith((".", "__"))]
        yield from (name for name in names if not name.startswith("."))
