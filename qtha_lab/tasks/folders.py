"""Files of rows in a folder, checked by name before a library opens it."""

import os
from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import SUFFIXES, read, table_suffix

ROWS = {*SUFFIXES, ".arrow"}
NO_ROWS = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
MOST_FILES = 10_000


def check_folder(folder: Path) -> None:
    """Refuse a folder that is no data set.

    Such a folder has no files of rows, holds a model, or has more than `MOST_FILES` files.
    """
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        raise Refusal(f"{folder} must hold rows of a task, got a model.")
    names = []
    for name in _file_names(folder):
        names.append(name)
        if len(names) > MOST_FILES:
            raise Refusal(
                f"{folder} must hold at most {MOST_FILES:,} files, got more. Name the folder of "
                "the data set."
            )
    if not any(ROWS & set(Path(name).suffixes) for name in names if name not in NO_ROWS):
        raise Refusal(
            f"{folder} must hold rows of a task ({', '.join(sorted(ROWS))}), got no such file."
        )


def table_files(folder: Path) -> list[Path]:
    """Return the files of rows of a folder; none if a library must read it.

    A library reads Arrow and Parquet files, which may state names of labels, and folders whose
    README.md describes a data set.
    """
    check_folder(folder)
    readme = folder / "README.md"
    if any(any(folder.rglob(kind)) for kind in ("*.arrow", "*.parquet")) or (
        readme.is_file() and "configs:" in read(readme)
    ):
        return []
    names = {"readme.txt", "license.txt", "licence.txt", "notes.txt", *NO_ROWS}
    files = sorted(file for file in folder.rglob("*") if table_suffix(file.name) and file.is_file())
    files = [
        file
        for file in files
        if file.name.lower() not in names
        and not any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)
    ]
    tables = [file for file in files if table_suffix(file.name) != ".txt"]
    return tables or files


def _file_names(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, without hidden files and folders."""
    for _, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith((".", "__"))]
        yield from (name for name in names if not name.startswith("."))
