"""Table of the numbers behind a figure, written as CSV, HTML, LaTeX or Markdown.

Columns have data names; headings with units are added on output.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtha_lab.core import metrics
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import csv_cell
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels

if TYPE_CHECKING:
    import pandas as pd

LONG = 40  # rows; a longer LaTeX table does not fit on one page
WIDE = 8  # columns; a wider table does not fit on a page


@dataclass(frozen=True)
class Table:
    """Rows of plain values under named columns.

    Example:
        >>> table = Table(("method", "eval_loss"), [("lora", 4.12345), ("qtha", None)])
        >>> print(table.csv(), end="")
        method,eval_loss
        lora,4.12345
        qtha,
        >>> table.cells()[1]
        ['qtha', '–']
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "rows", tuple(tuple(map(python_number, row)) for row in self.rows))
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise Refusal(f"Row {number} must have {len(self.columns)} values, got {len(row)}.")

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]], first: Sequence[str] = ()) -> "Table":
        """Return the table of records; a missing value leaves its cell empty.

        Args:
            records: Values by column.
            first: Columns that the table has also without records, before all others.
        """
        columns = list(dict.fromkeys([*first, *(name for record in records for name in record)]))
        return cls(columns, [[record.get(name) for name in columns] for record in records])

    @property
    def frame(self) -> "pd.DataFrame":
        """Rows as a pandas frame; a missing value is NaN or None."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(self.columns))

    def cells(self) -> list[list[str]]:
        """Return every value as formatted text."""
        return [[value_text(value) for value in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """List for each column if its cells are numbers, which are right-aligned."""
        columns = zip(*self.cells(), strict=True) if self.rows else [()] * len(self.columns)
        return [all(re.match(r"[-+−]?[\d.]|–$", cell) for cell in column) for column in columns]

    def rotated(self) -> "Table":
        """Transpose the table: a column per row, named by its first cell.

        Example:
            >>> Table(("method", "loss"), [("lora", 4.1), ("qtha", 4.2)]).rotated()
            Table(columns=('method', 'lora', 'qtha'), rows=(('loss (nats)', '4.1', '4.2'),))
        """
        first, *rest = zip(*self.cells(), strict=True)
        rows = zip(map(labels.axis, self.columns[1:]), rest, strict=True)
        return Table((self.columns[0], *first), [(name, *cells) for name, cells in rows])

    def csv(self) -> str:
        """Write comma-separated values with plain column names and all digits.

        A missing value is empty. No text is a formula in a spreadsheet; numbers stay numbers.
        """
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([*map(csv_cell, row)] for row in (self.columns, *self.rows))
        return file.getvalue()

    def markdown(self, caption: str = "") -> str:
        """Write a Markdown table with right-aligned numbers, and the caption below.

        Example:
            >>> print(Table(("method", "eval_loss"), [("lora", 4.12345)]).markdown(), end="")
            | method | evaluation loss (nats) |
            | :--- | ---: |
            | lora | 4.123 |
        """
        rule = ["---:" if number else ":---" for number in self.numeric()]
        rows = [[labels.axis(name) for name in self.columns], rule, *self.cells()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([*lines, *(["", caption] if caption else [])]) + "\n"

    def html(self, title: str | None = None, ink: str = "#333333", paper: str | None = None) -> str:
        """Return an HTML fragment made by great_tables, in the colours of a page.

        Args:
            title: Heading; None omits it.
            ink: Text colour.
            paper: Background colour; None uses that of the page.
        """
        head = [labels.axis(name) for name in self.columns]
        table = self._laid_out(head, self.cells(), title)
        paper = paper or "transparent"
        table = table.tab_options(table_font_names=["Helvetica", "Arial"], table_font_color=ink)
        return table.tab_options(table_background_color=paper).as_raw_html()

    def latex(self, caption: str | None = None) -> str:
        """Return a LaTeX `table` with booktabs rules, laid out by great_tables.

        A wide table is transposed.
        """
        if len(self.columns) > WIDE and 0 < len(self.rows) < len(self.columns):
            return self.rotated().latex(caption)
        texts = [*map(labels.latex, self.columns), labels.escape(caption or "")]
        texts += [labels.escape(cell) for row in self.cells() for cell in row]
        # great_tables escapes mathematics, so placeholders replace the texts during layout
        width = len(self.columns)
        words = [f"QTHATEXT{number}Q" for number in range(len(texts))]
        body = words[width + 1 :]
        rows = [body[start : start + width] for start in range(0, len(body), width)]
        table = self._laid_out(words[:width], rows, words[width] if caption else None)
        long = len(self.rows) > LONG
        laid_out = table.tab_options(table_font_size="9pt").as_latex(use_longtable=long)
        laid_out = laid_out.replace("{\\large ", "{\\small ")
        return re.sub(r"QTHATEXT(\d+)Q", lambda match: texts[int(match[1])], laid_out)

    def _laid_out(self, head: list[str], rows: list[list[str]], title: str | None):
        require_extra("figures", "A table in HTML or LaTeX", "great_tables")
        import pandas as pd
        from great_tables import GT

        names = [f"c{number}" for number in range(len(head))]
        table = GT(pd.DataFrame(rows, columns=names, dtype=object), id="qtha-table")
        table = table.cols_label(dict(zip(names, head, strict=True)))
        for name, numeric in zip(names, self.numeric(), strict=True):
            table = table.cols_align("right" if numeric else "left", columns=name)
        return table.tab_header(title=title) if title else table

    def _repr_html_(self) -> str:
        return self.html(paper="#ffffff")


def python_number(value: Any) -> Any:
    """Convert a numpy number to a Python number; other values stay unchanged."""
    return value.item() if hasattr(value, "item") else value


def value_text(value: Any, name: str = "") -> str:
    """Format a value as text; a measurement's name sets its number of digits.

    Example:
        >>> [value_text(value) for value in (30720, 6900.0, 0.0123456, 1e-9, None)]
        ['30,720', '6,900', '0.01235', '1e-09', '–']
        >>> value_text(4.4), value_text(4.4, "eval_loss")
        ('4.4', '4.400')
    """
    if value is None:
        return "–"
    measure = MEASURES.get(name)
    if measure and "f" in measure.form and isinstance(value, float):
        return metrics.written(measure, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    whole = isinstance(value, int) or (value.is_integer() and 1000 <= abs(value) < 1e15)
    return f"{int(value):,}" if whole else f"{value:.4g}"
