"""Sides of a split that the names of files and folders state."""

from pathlib import Path

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
