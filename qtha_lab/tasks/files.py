"""Read a JSON Lines file or a Hugging Face data set into task rows.

An error names the number of the bad line. Code that comes with a data set is never run.
"""

import itertools
from pathlib import Path
from typing import NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import at_line, records, shortened
from qtha_lab.tasks.folders import check_folder
from qtha_lab.tasks.own_data import Columns, OwnData, find_columns
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
    """

    kind: Kind
    key: str
    rows: list[dict]
    held_out: HeldOut = HeldOut()
    licence: str = "your own data"


def read_jsonl(path: Path, options: OwnData) -> OwnRows:
    """Read a JSON Lines file; blank lines are skipped.

    Raises:
        Refusal: Naming the file and the number of the first bad line.
    """
    rows, columns = [], None
    for number, record in records(path):
        try:
            columns = columns or find_columns(list(record), options)
            rows.append(columns.row(record))
        except Refusal as problem:
            raise at_line(path, number, str(problem)) from None
    if columns is None:
        raise Refusal(f"{path.name} has no rows")
    return OwnRows(columns.kind, *with_keys(rows, columns.kind))


def read_data_set(name: str, options: OwnData) -> OwnRows:
    """Read a data set with its own splits.

    Raises:
        Refusal: If the data set cannot be loaded or its columns cannot be recognised.
    """
    if Path(name).is_dir():
        check_folder(Path(name))
    import datasets

    try:
        splits = datasets.load_dataset(name, options.subset)
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise Refusal(
            f"data set {shortened(name)} cannot be loaded: {shortened(message, 160)}"
        ) from error
    training = splits["train"] if "train" in splits else splits[next(iter(splits))]
    columns = find_columns(training.column_names, options)
    rows = _rows(training, columns, options.limit)
    held_out = HeldOut(
        *(
            next(
                (
                    _rows(splits[s], columns, options.limit)
                    for s in names
                    if _is_there(s, splits, training)
                ),
                None,
            )
            for names in (EVALUATION_SPLITS, TEST_SPLITS)
        )
    )
    key, every = with_keys(
        [*rows, *(held_out.evaluation or ()), *(held_out.test or ())], columns.kind
    )
    places = iter(every)
    rows = list(itertools.islice(places, len(rows)))
    held_out = HeldOut(*(side and list(itertools.islice(places, len(side))) for side in held_out))
    licence = training.info.license or "as the data set says"
    return OwnRows(columns.kind, key, rows, held_out, licence)


def _is_there(name: str, splits, training) -> bool:
    return name in splits and splits[name] is not training


def _rows(split, columns: Columns, limit: int) -> list[dict]:
    """Convert the first `limit` records to rows, with the data set's own label names."""
    label = split.features.get(columns.second) if columns.second else None
    names = getattr(label, "names", None)
    rows = []
    for record in split.select(range(min(limit, len(split)))):
        if names and isinstance(record[columns.second], int):
            if record[columns.second] < 0:
                continue
            record[columns.second] = names[record[columns.second]]
        try:
            rows.append(columns.row(record))
        except ValueError as error:
            reason = error
    if not rows:
        raise Refusal(
            f"no row of the data set can be used: {reason if len(split) else 'it is empty'}"
        )
    return rows
