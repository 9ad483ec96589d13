"""Read a file, a folder or a Hugging Face data set into task rows.

An error names the file and the bad line. Code that comes with a data set is never run.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import at_line, shortened, table_rows
from qtha_lab.core.optional import require_extra
from qtha_lab.tasks.folders import check_folder, table_files
from qtha_lab.tasks.own_data import OwnData, label_meaning, number_of, whole_number
from qtha_lab.tasks.shapes import Parts, Shape, find_shape
from qtha_lab.tasks.split_key import with_keys
from qtha_lab.tasks.task import Kind

EVALUATION_SPLITS = ("validation", "dev")
TEST_SPLITS = ("test",)


class HeldOut(NamedTuple):
    """Rows of a data set's own evaluation and test splits; None without such a split."""

    evaluation: list[dict] | None = None
    test: list[dict] | None = None


class OwnRows(NamedTuple):
    """User's own rows, with their kind, split key and licence.

    Attributes:
        kind: Kind of task.
        key: Name of the split key.
        rows: Rows that are not yet assigned to a side of the split.
        held_out: Rows of the data set's own splits.
        licence: Terms of use.
        shape: Shape of the rows, such as "text and label".
        columns: Column of each part of the shape.
    """

    kind: Kind
    key: str
    rows: list[dict]
    held_out: HeldOut = HeldOut()
    licence: str = "your own data"
    shape: str = ""
    columns: Mapping[str, str] = MappingProxyType({})


def read_table(path: Path, options: OwnData) -> OwnRows:
    """Read a file of rows; blank lines are skipped.

    Raises:
        Refusal: Naming the file and the number of the first bad line.
    """
    return _keyed(*_read([path], options), HeldOut(), options)


def read_folder(folder: Path, options: OwnData) -> OwnRows:
    """Read the files of rows in a folder; names such as `test.csv` state splits."""
    files = table_files(folder)
    if not files:
        return read_data_set(str(folder), options)
    sides: dict[str, list[Path]] = {}
    for file in files:
        sides.setdefault(_side_of(file), []).append(file)
    first = sides.pop("train", None) or sides.pop(next(iter(sides)))
    shape, parts, rows = _read(first, options)
    held_out = HeldOut(
        *(
            _read(sides[side], options, (shape, parts))[2] if side in sides else None
            for side in ("evaluation", "test")
        )
    )
    return _keyed(shape, parts, rows, held_out, options)


def _side_of(file: Path) -> str:
    """Return the side that the name of a file states; "train" without one."""
    words = file.name.lower().replace("-", "_").replace(".", "_").split("_")
    if any(word in ("valid", "val", "eval", *EVALUATION_SPLITS) for word in words):
        return "evaluation"
    return "test" if "test" in words else "train"


def _read(
    files: list[Path], options: OwnData, known: tuple[Shape, Parts] | None = None
) -> tuple[Shape, Parts, list[dict]]:
    rows = []
    for path in files:
        for number, record in table_rows(path):
            try:
                known = known or find_shape(record, options.columns)
                rows.append(known[0].row(known[1], record))
            except Refusal as problem:
                raise at_line(path, number, str(problem)) from None
    if known is None:
        raise Refusal(f"{files[0].name} must have rows, got none.")
    return *known, rows


def _keyed(
    shape: Shape, parts: Parts, rows: list[dict], held_out: HeldOut, options: OwnData
) -> OwnRows:
    """Set the kind, the labels and the split key of rows."""
    every = [*rows, *(held_out.evaluation or ()), *(held_out.test or ())]
    kind = shape.kind
    if kind == "classification":
        labels = [row["label"] for row in every]
        meaning = label_meaning(labels, options.labels, parts.get("label", ""))
        if meaning != "classes":
            kind, number = "regression", int if meaning == "ordered" else float
            every = [row | {"label": number(float(row["label"]))} for row in every]
        elif all(number_of(label) is not None for label in labels):
            every = [row | {"label": whole_number(row["label"])} for row in every]
    key, keyed = with_keys(every, kind)
    places = iter(keyed)
    rows = list(itertools.islice(places, len(rows)))
    held_out = HeldOut(*(side and list(itertools.islice(places, len(side))) for side in held_out))
    return OwnRows(kind, key, rows, held_out, shape=shape.name, columns=parts)


def read_data_set(name: str, options: OwnData) -> OwnRows:
    """Read a Hugging Face data set with its own splits."""
    if Path(name).is_dir():
        check_folder(Path(name))
    require_extra("hub", "A data set of the Hugging Face Hub", "datasets")
    import datasets

    try:
        if (Path(name) / "dataset_dict.json").is_file() or (Path(name) / "state.json").is_file():
            splits = datasets.load_from_disk(name)  # as `save_to_disk` wrote it
        else:
            splits = datasets.load_dataset(name, options.subset)
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise Refusal(
            f"Data set {shortened(name)} cannot be loaded: {shortened(message, 130)}. Correct the "
            "name, connect to the hub, or save the rows as a file."
        ) from error
    sides: dict[str, Any] = (
        {str(k): v for k, v in splits.items()} if isinstance(splits, Mapping) else {}
    )
    sides = sides or {"train": splits}
    training = sides.get("train", next(iter(sides.values())))
    if not len(training):
        raise Refusal(f"Data set {shortened(name)} must have rows, got none.")
    known = find_shape(training[0], options.columns)

    def side(names: tuple[str, ...]) -> list[dict] | None:
        own = (sides[s] for s in names if s in sides and sides[s] is not training)
        return next((_rows(split, known, options.limit) for split in own), None)

    rows = _rows(training, known, options.limit)
    own = _keyed(*known, rows, HeldOut(side(EVALUATION_SPLITS), side(TEST_SPLITS)), options)
    return own._replace(licence=training.info.license or "as the data set says")


def _rows(split, known: tuple[Shape, Parts], limit: int) -> list[dict]:
    """Convert the first `limit` records to rows, with the data set's own label names."""
    shape, parts = known
    column = parts.get("label", "")
    names = getattr(split.features.get(column), "names", None)
    rows: list[dict] = []
    reason: object = "it is empty"
    for record in _named(itertools.islice(split, limit), column, names):
        try:
            rows.append(shape.row(parts, record))
        except ValueError as error:
            reason = error
    if not rows:
        raise Refusal(f"The data set must have usable rows, got none: {reason}")
    return rows


def _named(records, column: str, names: list[str] | None) -> Iterator[dict]:
    """Yield labelled records, with label names in place of numbers."""
    for record in records:
        if names and isinstance(record[column], int):
            if record[column] < 0:
                continue
            record[column] = names[record[column]]
        yield record
