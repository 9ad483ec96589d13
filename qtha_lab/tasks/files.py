"""Read a file, a folder or a Hugging Face data set into task rows.

An error names the file and the bad line. Code that comes with a data set is never run.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import ReadCounts, at_line, shortened, table_rows
from qtha_lab.core.io.files import count_values
from qtha_lab.core.libraries import require_extra
from qtha_lab.tasks.folders import TextFile, check_folder, check_sizes, folder_files, text_record
from qtha_lab.tasks.messages import unused_fields
from qtha_lab.tasks.own_data import (
    OwnData,
    label_meaning,
    merged_labels,
    number_of,
    plain_numbers,
    whole_number,
)
from qtha_lab.tasks.shapes import TRUTHS, Parts, Shape, find_shape, listed
from qtha_lab.tasks.splits import normalised
from qtha_lab.tasks.task import Kind, label_texts

MARKS = (
    "label",
    "labels",
    "kto_tag",
    "desirable",
    "is_desirable",
    "accepted",
    "correct",
    "is_correct",
    "good",
)
"""Columns whose truth value states whether an answer is a good one."""
FALSE = {"false", "no", "0"}
Place = tuple[Path, int] | None
MESSAGES = ("messages", "chosen", "rejected")


class RowReader:
    """Reader of all files of a data set, which have one shape.

    Attributes:
        counts: Counts of what was read, with their limits.
        unusable: Number of records that are no row of the shape and were left aside.
    """

    def __init__(self, options: OwnData, known: tuple[Shape, Parts] | None = None) -> None:
        self.counts, self.unusable = ReadCounts(), 0
        self._options, self._known = options, known
        self._columns: dict[str, None] = {}
        self._used: set[str] = set()
        self._fields: set[str] = set()
        self._masked = 0
        self._truths: dict[str, dict[str, Place]] = {}

    @property
    def shape(self) -> Shape:
        """Shape of the rows that were read."""
        return self._shape_and_parts[0]

    @property
    def parts(self) -> Parts:
        """Column of each part of the shape."""
        return self._shape_and_parts[1]

    @property
    def _shape_and_parts(self) -> tuple[Shape, Parts]:
        assert self._known is not None
        return self._known

    def read(self, files: list[Path] | list[TextFile]) -> list[dict]:
        """Read the rows of files; an error names the file and the line.

        Raises:
            Refusal: If a record is no row of the shape, or an answer is marked as bad.
        """
        rows = []
        for path, number, record in self._records(files):
            try:
                rows += self.rows_of(record, (path, number))
            except Refusal as problem:
                raise at_line(path, number, str(problem)) from None
        if self._known is None:
            raise Refusal(f"{_path(files[0]).name} has no rows.")
        self.check_marks()
        return rows

    def _records(self, files: list[Path] | list[TextFile]) -> Iterator[tuple[Path, int, dict]]:
        for file in files:
            if isinstance(file, TextFile):
                yield file.path, 1, text_record(file, self.counts)
                continue
            for number, record in table_rows(file, self.counts):
                yield file, number, record

    def rows_of(self, record: dict, place: Place = None) -> list[dict]:
        """Convert a record, with its file and line if any; no row without a label."""
        self._known = self._known or find_shape(record, self._options.columns)
        self._adapt_parts(record)
        if self._is_unlabelled(record):
            self.counts.unlabelled += 1
            return []
        row = self.shape.row(self.parts, record)
        self._masked += sum("masked" in message for message in row.get("messages", ()))
        for column in (self.parts[part] for part in MESSAGES if part in self.parts):
            self._fields |= unused_fields(column, record[column])
        if self.shape.kind == "lm":
            self._collect_truths(record, place)
        return [row]

    def _adapt_parts(self, record: dict) -> None:
        """Add optional columns of later rows; find columns that another file spells otherwise."""
        has_all = all(self.parts[part] in record for part in self.shape.needed)
        if has_all and record.keys() <= self._columns.keys():
            return
        self._columns.update(dict.fromkeys(record))
        names, chosen = [*record], self._options.columns
        if has_all:
            names, chosen = [*self._columns], self.parts
        self._known = self.shape, self.shape.parts(names, chosen) or self.parts
        self._used.update(self.parts.values())

    def _is_unlabelled(self, record: dict) -> bool:
        column = self.parts.get("label")
        if self.shape.kind != "classification" or column not in record:
            return False
        return str(record[column]).strip() == self._options.unlabelled

    def _collect_truths(self, record: dict, place: Place) -> None:
        """Record the first place of each truth value that may mark answers as bad."""
        for column, value in record.items():
            is_mark = column.lower() in MARKS and column not in self.parts.values()
            if is_mark and value is not None:
                seen = self._truths.setdefault(column, {})
                if len(seen) <= len(TRUTHS):
                    seen.setdefault(shortened(value, 20).strip().lower(), place)

    def check_marks(self) -> None:
        """Refuse answers that a column of truth values marks as bad."""
        for column, seen in self._truths.items():
            bad = [*FALSE & seen.keys()]
            if bad and seen.keys() <= TRUTHS:
                rule = (
                    f"{shortened(column, 40)} must be true for an answer that is learnt, got "
                    f"{bad[0]}. Unpaired preferences (KTO) are not trained. Delete these rows, or "
                    "write pairs of chosen and rejected answers."
                )
                place = seen[bad[0]]
                raise at_line(*place, rule) if place else Refusal(rule)

    def notes(self) -> Iterator[str]:
        """Yield a sentence on each kind of data that was left aside."""
        unused = [name for name in self._columns if name not in self._used]
        if unused:
            yield f"Columns that are not used: {listed(unused)}."
        if self._fields:
            yield f"Fields of messages that are not used: {listed(sorted(self._fields))}."
        if self._masked:
            yield f"Answers without a loss (weight 0 or train false): {self._masked:,}."
        if self.counts.unlabelled:
            yield f"Rows without a label that are not used: {self.counts.unlabelled:,}."
        if self.unusable:
            yield f"Rows that lack a needed value and are not used: {self.unusable:,}."


def _path(file: Path | TextFile) -> Path:
    return file.path if isinstance(file, TextFile) else file


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
        kind, key, rows, held_out, shape=reader.shape.name, columns=reader.parts, notes=tuple(notes)
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


FEWEST_KEYS = 10
HARDLY_REPEAT = 0.9
"""Distinct answers per row from which a file is split by answer."""
REPEATS = 4
"""Rows per distinct answer from which the answers of a file are labels."""


class KeyedRows(NamedTuple):
    """Rows with their key, and the name of the key."""

    name: str
    rows: list[dict]


def with_keys(rows: list[dict], kind: Kind) -> KeyedRows:
    """Set the key of each row of a file.

    Example:
        >>> answer = {"role": "assistant", "content": "good"}
        >>> films = [{"role": "user", "content": f"Film {i}"} for i in range(20)]
        >>> with_keys([{"messages": [film, answer]} for film in films], "lm").name
        'prompt'
    """
    if kind in ("classification", "regression", "text"):
        name = "first text" if any("pair" in row for row in rows) else "text"
    else:
        name = "prompt" if kind == "preference" else _name(rows)
    return KeyedRows(name, [_without_thread(row) | {"key": _key(row, name)} for row in rows])


def few_answers(rows: Iterable[dict]) -> tuple[str, ...]:
    """Return the sorted distinct answers if they are few enough to be labels, else ()."""
    texts = [text for row in rows for text in label_texts(row)]
    distinct = sorted(set(texts))
    return tuple(distinct) if len(distinct) * REPEATS <= len(texts) else ()


def first_prompt(row: dict) -> str:
    """Return the first user message, or all messages before the first answer."""
    roles = [message["role"] for message in row["messages"]]
    if "user" in roles:
        return row["messages"][roles.index("user")]["content"]
    answer = roles.index("assistant", 1) if "assistant" in roles[1:] else None
    return "\n".join(m["content"] for m in row["messages"][:answer])


def _name(rows: list[dict]) -> str:
    if any("thread" in row for row in rows):
        return "thread"
    answers = {tuple(sorted(map(normalised, label_texts(row)))) for row in rows}
    prompts = {normalised(first_prompt(row)) for row in rows}
    single = all(sum(m["role"] == "assistant" for m in row["messages"]) == 1 for row in rows)
    hardly = len(answers) >= HARDLY_REPEAT * len(rows)
    if single and hardly and len(answers) <= len(prompts):
        return "answer"
    if len(prompts) >= FEWEST_KEYS:
        return "prompt" if single else "first user message"
    return "row" if single else "conversation"


def _key(row: dict, name: str) -> str:
    if name in ("text", "first text"):
        return row["text"]
    if name == "answer":
        (answer,) = label_texts(row)
        return answer
    if name in ("row", "conversation"):
        return json.dumps(row["messages"], ensure_ascii=False)
    return row.get("thread") or first_prompt(row)


def _without_thread(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "thread"}
