"""Sides of a split that the names of files and folders state."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import SUFFIXES, ReadCounts, read, table_rows, table_suffix
from qtha_lab.core.io.parquet import check_arrow
from qtha_lab.core.io.unpacked import is_packed
from qtha_lab.tasks.shapes import listed

SIDES = {
    "evaluation": {"validation", "valid", "val", "eval", "dev"},
    "test": {"test"},
    "train": {"train", "training"},
}


def side_of(name: str) -> str:
    """Return the side that a name states, or "".

    Example:
        >>> side_of("my_test.csv"), side_of("train-00000-of-00001.parquet"), side_of("latest")
        ('test', 'train', '')
    """
    words = set(name.lower().replace("-", "_").replace(".", "_").split("_"))
    return next((side for side, known in SIDES.items() if words & known), "")


def file_side(folder: Path, file: Path) -> str:
    """Return the side that a file's name or its folders state, or ""."""
    parts = reversed(file.relative_to(folder).parts)
    return next((side for part in parts if (side := side_of(part))), "")


FEWEST_TEXTS = 10
"""Texts of a class from which folders are classes, not parts of one text."""
NO_CLASS = ("unsup", "unlabeled", "unlabelled")
LONGEST = 2**20  # bytes of a text


class TextFile(NamedTuple):
    """File of one text with its class."""

    path: Path
    label: str


def class_texts(folder: Path, files: list[Path]) -> dict[str, list[TextFile]]:
    """Return the texts of each side; empty if the folders are no classes.

    A class is the name of the folder of at least `FEWEST_TEXTS` files, below the folder of a side
    if any.
    """
    texts: dict[str, dict[str, list[TextFile]]] = {}
    for file in files:
        *above, label = file.relative_to(folder).parts[:-1] or ("",)
        is_side = not above or (len(above) == 1 and side_of(above[0]))
        if label and is_side and not side_of(label) and label.lower() not in NO_CLASS:
            side = side_of(above[0]) if above else ""
            texts.setdefault(side or "train", {}).setdefault(label, []).append(
                TextFile(file, label)
            )
    first = texts.get("train", {})
    if len(first) < 2 or min(map(len, first.values())) < FEWEST_TEXTS:
        return {}
    return {side: [text for each in by.values() for text in each] for side, by in texts.items()}


def text_record(file: TextFile, counts: ReadCounts) -> dict[str, str]:
    """Return the text and the label of a file, counted."""
    text = read(file.path, LONGEST)
    counts.add(file.path, rows=1, size=len(text))
    return {"text": text, "label": file.label}


ROWS = {*SUFFIXES, ".arrow"}
ARCHIVES = {".zip", ".tar", ".tgz", ".xz", ".bz2", ".zst", ".lz4", ".7z", ".rar"}
NO_ROWS = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
NO_TEXT = {"readme.txt", "license.txt", "licence.txt", "notes.txt", *NO_ROWS}
MOST_FILES = 10_000
MOST_TEXTS = 2**17  # .txt files below the folder


class FolderFiles(NamedTuple):
    """Files of a folder that are read, by side, and the others.

    There is no side if a library must read the folder.
    """

    sides: dict[str, list[Path]] | dict[str, list[TextFile]]
    unused: list[Path]
    notes: tuple[str, ...] = ()


def check_folder(folder: Path) -> None:
    """Refuse a folder that is no data set.

    Such a folder has no files of rows, holds a model, or has more than `MOST_FILES` files.
    """
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        raise Refusal(f"{folder} must hold rows of a task, got a model.")
    files, texts, has_rows = 0, 0, False
    for path in _files(folder):
        is_text = path.suffix.lower() == ".txt" and path.parent != folder
        files, texts = files + (not is_text), texts + is_text
        most, count = (MOST_TEXTS, texts) if is_text else (MOST_FILES, files)
        if count > most:
            raise Refusal(
                f"{folder} must hold at most {most:,} files, got more. Name the folder of "
                "the data set."
            )
        has_rows |= bool(ROWS & set(path.suffixes)) and path.name not in NO_ROWS
    if not has_rows:
        raise Refusal(
            f"{folder} must hold rows of a task ({', '.join(sorted(ROWS))}), got no such file."
        )


def folder_files(folder: Path) -> FolderFiles:
    """Choose the texts by class of a folder, or its files of one format.

    A library reads Arrow files and folders whose README.md describes a data set.
    """
    check_folder(folder)
    files = sorted(file for file in _files(folder) if file.is_file())
    if _is_for_a_library(folder, files):
        return FolderFiles({}, [])
    tables = [f for f in files if table_suffix(f.name) and f.name.lower() not in NO_TEXT]
    texts = [file for file in tables if table_suffix(file.name) == ".txt"]
    by_class = class_texts(folder, texts) if 2 * len(texts) > len(tables) else {}
    if by_class:
        return _by_class(by_class, files)
    chosen = _of_one_format(folder, tables)
    sides: dict[str, list[Path]] = {}
    for file in chosen:
        sides.setdefault(file_side(folder, file) or "train", []).append(file)
    return FolderFiles(sides, _without(files, chosen))


def check_sizes(folder: Path) -> None:
    """Refuse files that a library would unpack without a limit; plain text has no limit."""
    counts = ReadCounts()
    for file in _files(folder):
        if file.suffix.lower() in ARCHIVES:
            raise Refusal(f"{file.name} cannot be read packed. Unpack it and name its files.")
        if file.suffix.lower() == ".arrow":
            check_arrow(file, counts)
        elif table_suffix(file.name) == ".parquet" or is_packed(file):
            for _ in table_rows(file, counts):
                pass


def _is_for_a_library(folder: Path, files: list[Path]) -> bool:
    readme = folder / "README.md"
    has_arrow = any(file.suffix.lower() == ".arrow" for file in files)
    return has_arrow or (readme.is_file() and "configs:" in read(readme))


def _by_class(sides: dict[str, list[TextFile]], files: list[Path]) -> FolderFiles:
    texts = [text for side in sides.values() for text in side]
    note = f"Classes are the folders {listed(sorted({text.label for text in texts}))}."
    return FolderFiles(sides, _without(files, [text.path for text in texts]), (note,))


def _without(files: list[Path], used: list[Path]) -> list[Path]:
    paths = {*used}
    return [file for file in files if file not in paths]


def _of_one_format(folder: Path, files: list[Path]) -> list[Path]:
    """Return the files of one format, and missing sides of another format.

    The format is the one whose names state most sides, then the one with most bytes.
    """
    formats: dict[str, list[Path]] = {}
    for file in files:
        formats.setdefault(table_suffix(file.name), []).append(file)

    def rank(suffix: str) -> tuple[bool, int, bool, int]:
        sides = {file_side(folder, file) for file in formats[suffix]}
        size = sum(file.stat().st_size for file in formats[suffix])
        return suffix != ".txt", len({side or "train" for side in sides}), sides != {""}, size

    best = max(formats, key=rank, default="")
    chosen = formats.pop(best, [])
    present = {file_side(folder, file) or "train" for file in chosen}
    others = [file for suffix, each in formats.items() if suffix != ".txt" for file in each]
    return chosen + [f for f in others if (file_side(folder, f) or "train") not in present]


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, without hidden files and folders."""
    for above, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith((".", "__"))]
        yield from (Path(above, name) for name in names if not name.startswith("."))
