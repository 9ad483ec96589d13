"""Conversion of records to task rows, with a list of everything that is left aside."""

from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import ReadCounts, at_line, shortened, table_rows
from qtha_lab.tasks.folders import TextFile, text_record
from qtha_lab.tasks.messages import unused_fields
from qtha_lab.tasks.own_data import OwnData
from qtha_lab.tasks.shapes import TRUTHS, Parts, Shape, find_shape, listed

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
