"""Controls that save a table as exact CSV, or as rounded LaTeX or Markdown.

The file holds the displayed rows in their order. Ties `qtha_lab.figures.machinery.table` to
controls; the headless equivalents are `table.csv()`, `table.latex()` and `table.markdown()`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically
from qtha_lab.figures.machinery.table import Table

from ..kit import boxes
from ..kit.loop import Background
from .saved_file import download_link, free_path

FORMS = {"CSV": "csv", "LaTeX": "tex", "Markdown": "md"}
FOLDER = "tables"


class SaveTable(ipw.VBox):
    """Controls under a table; "Save table" writes a file and offers a download.

    Args:
        name: Name of the file, without its ending.
        exact: Returns the current table as plain values.
        written: Returns the table with formatted values.
        folder: Folder of the files; created with the first file.

    Example:
        >>> table = Table(("method", "eval_loss"), [("lora", 4.12345)])
        >>> SaveTable("runs", lambda: table, lambda: table).form.value
        'csv'
    """

    def __init__(
        self,
        name: str,
        exact: Callable[[], Table],
        written: Callable[[], Table],
        folder: Path | str = FOLDER,
    ):
        self.name, self.exact, self.written, self.folder = name, exact, written, Path(folder)
        self.error, self.done = boxes.ErrorText(), boxes.text()
        self.background = Background(self.error.report)
        self.form = ipw.Dropdown(options=list(FORMS.items()), description="as")
        self.button = boxes.button("Save table", icon="download")
        self.button.on_click(lambda _: self.background.start_once("save", self.save))
        super().__init__([boxes.row([self.button, self.form, self.done]), self.error.panel])
        boxes.classed(self, "qtha-save-table")

    async def save(self) -> None:
        """Write the file in a thread, and show its path."""
        self.error.show("")
        self.done.value = "Writing …"
        try:
            path = await asyncio.to_thread(self.write)
        except Exception:
            self.done.value = ""
            raise
        self.done.value = download_link(path)

    def write(self) -> Path:
        """Write the table as displayed, without overwriting an existing file.

        Raises:
            Refusal: If it has no row.
        """
        form = str(self.form.value)
        table = self.exact() if form == "csv" else self.written()
        if not table.rows:
            raise Refusal("The table has no row to save.")
        words = {"csv": table.csv, "tex": table.latex, "md": table.markdown}[form]()
        make_folder(self.folder)
        path = free_path(self.folder, self.name, form)
        write_atomically(path, words)
        return path
