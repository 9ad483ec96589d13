"""Read a file, a folder or a Hugging Face data set into task rows.

An error names the file and the bad line. Code that comes with a data set is never run.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.io.read_counts import count_values
from qtha_lab.core.libraries import require_extra
from qtha_lab.tasks.folders import check_folder, check_sizes, folder_files
from qtha_lab.tasks.own_data import (
    OwnData,
    label_meaning,
    merged_labels,
    number_of,
    plain_numbers,
    whole_number,
)
from qtha_lab.tasks.row_reader import RowReader
from qtha_lab.tasks.shapes import find_shape, listed
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
        notes: Sentences on what was left aside and how labels were read.
    """

    kind: Kind
    key: str
    rows: list[dict]
    held_out: HeldOut = HeldOut()
    licence: str = "your own data"
    shape: str = ""
    columns: Mapping[str, str] = MappingProxyType({})
    notes: tuple[str, ...] = ()


def read_table(path: Path, options: OwnData) -> OwnRows:
    """Read a file of rows; blank lines are skipped.

    Raises:
        Refusal: Naming the file and the number of the first bad line.
    """
    reader = RowReader(options)
    return _keyed(reader, reader.read([path]), HeldOut(), options)


def read_folder(folder: Path, options: OwnData) -> OwnRows:
    """Read the files of rows in a folder; names such as `test.csv` state splits.

    Texts in a folder per class, such as `train/pos/*.txt`, are a classification.
    """
    files = folder_files(folder)
    if not files.sides:
        return read_data_set(str(folder), options)
    sides, reader = dict(files.sides), RowReader(options)
    rows = reader.read(sides.pop("train", None) or sides.pop(next(iter(sides))))
    held_out = HeldOut(
        *(reader.read(sides[side]) if side in sides else None for side in ("evaluation", "test"))
    )
    own = _keyed(reader, rows, held_out, options)
    names = [str(file.relative_to(folder)) for file in files.unused]
    unused = (f"Files that are not used: {listed(names)}.",) if names else ()
    return own._replace(notes=(*files.notes, *unused, *own.notes))


def _keyed(reader: RowReader, rows: list[dict], held_out: HeldOut, options: OwnData) -> OwnRows:
    """Set the kind, the labels and the split key of rows."""
    every = [*rows, *(held_out.evaluation or ()), *(held_out.test or ())]
    kind, notes = reader.shape.kind, [*reader.notes()]
    if kind == "classification":
        kind, every, read = _labelled(every, options, reader.parts.get("label", ""))
        notes += read
    key, keyed = with_keys(every, kind)
    places = iter(keyed)
    rows = list(itertools.islice(places, len(rows)))
    held_out = HeldOut(*(side and list(itertools.islice(places, len(side))) for side in held_out))
    return OwnRows(
        kind,
        key,
        rows,
        held_out,
        shape=reader.shape.name,
        columns=reader.parts,
        notes=tuple(notes),
    )


def _labelled(
    rows: list[dict], options: OwnData, column: str
) -> tuple[Kind, list[dict], list[str]]:
    """Return the kind of task, the rows with converted labels, and notes."""
    labels, notes = [row["label"] for row in rows], []
    if options.labels != "classes":
        labels, notes = plain_numbers(labels)
    if options.merge_labels:
        labels = merged_labels(labels)
    meaning = label_meaning(labels, options.labels, column)
    if meaning != "classes":
        number = int if meaning == "ordered" else float
        values = [number(float(label)) for label in labels]
        return "regression", _with_labels(rows, values), notes
    if all(number_of(label) is not None for label in labels):
        labels = [whole_number(label) for label in labels]
    return "classification", _with_labels(rows, labels), notes


def _with_labels(rows: list[dict], labels: list[Any]) -> list[dict]:
    return [row | {"label": label} for row, label in zip(rows, labels, strict=True)]


def read_data_set(name: str, options: OwnData) -> OwnRows:
    """Read a Hugging Face data set with its own splits."""
    if Path(name).is_dir():
        check_folder(Path(name))
    require_extra("hub", "A data set of the Hugging Face Hub", "datasets")
    if Path(name).is_dir():
        check_sizes(Path(name))
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
        raise Refusal(f"Data set {shortened(name)} has no rows.")
    reader = RowReader(options, find_shape(training[0], options.columns))

    def side(names: tuple[str, ...]) -> list[dict] | None:
        own = (sides[s] for s in names if s in sides and sides[s] is not training)
        return next((_rows(split, reader, options.limit) for split in own), None) or None

    rows = _rows(training, reader, options.limit)
    if not rows:
        raise Refusal(f"Data set {shortened(name)} has no labelled rows.")
    held_out = HeldOut(side(EVALUATION_SPLITS), side(TEST_SPLITS))
    reader.check_marks()
    own = _keyed(reader, rows, held_out, options)
    return own._replace(licence=training.info.license or "as the data set says")


def _rows(split: Any, reader: RowReader, limit: int) -> list[dict]:
    """Convert the first `limit` records to rows, with the data set's own label names."""
    column = reader.parts.get("label", "")
    names = getattr(split.features.get(column), "names", None)
    unlabelled = reader.counts.unlabelled
    rows: list[dict] = []
    reason: object = "it is empty"
    for record in itertools.islice(split, limit):
        size = sum(len(value) for value in record.values() if isinstance(value, str))
        reader.counts.add(Path("The data set"), rows=1, values=count_values(record), size=size)
        if names and isinstance(place := record[column], int):
            if place < 0:
                reader.counts.unlabelled += 1
                continue
            record[column] = names[place]
        try:
            rows += reader.rows_of(record)
        except ValueError as error:
            reason, reader.unusable = error, reader.unusable + 1
    if not rows and reader.counts.unlabelled == unlabelled:
        raise Refusal(f"The data set has no usable rows: {reason}")
    return rows
