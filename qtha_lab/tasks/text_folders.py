"""Folders of texts by class, such as `train/pos/*.txt` and `test/neg/*.txt`."""

from pathlib import Path
from typing import NamedTuple

from qtha_lab.core.io import ReadCounts, read
from qtha_lab.tasks.sides import side_of

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
