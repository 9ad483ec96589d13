"""Controls that save a panel's figure in a paper's style, or its table.

Ties `qtha_lab.figures.machinery` to controls. The headless equivalents are
`figure.export(path, page_style=PageStyle(…))` and `table.csv()`.
"""

import asyncio
import base64
import html
import mimetypes
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, read_bytes, write_atomically
from qtha_lab.figures.machinery import static_svg
from qtha_lab.figures.machinery.export import export_figure
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.legends import labels_in, short_names
from qtha_lab.figures.machinery.page_style import LEGENDS, TARGETS, PageStyle
from qtha_lab.figures.machinery.table import Table

from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import Background

MOST_DOWNLOAD = 20_000_000  # maximum bytes of a download link


def free_path(folder: Path, stem: str, form: str) -> Path:
    """Return a path that no file has: `loss.pdf`, `loss-2.pdf` and so on.

    Args:
        folder: Folder of the file.
        stem: Name without the ending.
        form: Ending of the name.
    """
    path, number = folder / f"{stem}.{form}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.{form}"
    return path


def download_link(path: Path) -> str:
    """Return HTML with the path of a file and a link that downloads the file."""
    name, size = html.escape(path.name), path.stat().st_size
    words = f"Saved: {html.escape(str(path))} ({size / 1024:,.0f} KiB)."
    if size > MOST_DOWNLOAD:
        return words
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    data = base64.b64encode(read_bytes(path, MOST_DOWNLOAD)).decode()
    link = f'download="{name}" href="data:{kind};base64,{data}"'
    return f'{words} <a style="text-decoration: underline" {link}>Download {name}</a>'


class Saver(ipw.VBox):
    """A button that writes a file in a thread and offers a download."""

    def __init__(self, words: str, **options: Any):
        self.error, self.done = boxes.ErrorText(), boxes.text()
        self.background = Background(self.error.report)
        self.button = boxes.button(words, icon="download", **options)
        self.button.on_click(lambda _: self.background.start_once("save", self.save))
        super().__init__()

    def offer(self) -> None:
        """Update the choices before the file is written."""

    def write(self) -> Path:
        """Write the file, without overwriting an existing one."""
        raise NotImplementedError

    async def save(self) -> None:
        """Write the file in a thread, and show its path."""
        self.error.show("")
        self.done.value = "Writing …"
        try:
            self.offer()
            path = await asyncio.to_thread(self.write)
        except Exception:
            self.done.value = ""
            raise
        self.done.value = download_link(path)


TABLE_FORMS = {"CSV": "csv", "LaTeX": "tex", "Markdown": "md"}
TABLE_FOLDER = "tables"


class SaveTable(Saver):
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
        folder: Path | str = TABLE_FOLDER,
    ):
        self.name, self.exact, self.written, self.folder = name, exact, written, Path(folder)
        super().__init__("Save table")
        self.form = _list("as", TABLE_FORMS.items())
        row = boxes.row([self.button, self.form, self.done])
        self.children = row, self.error.panel
        boxes.classed(self, "qtha-save-table")

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


FORMS = {
    "PDF": "pdf",
    "SVG": "svg",
    "PNG, 300 dpi": "png",
    "web page": "html",
    "table: CSV": "csv",
    "table: LaTeX": "tex",
    "table: Markdown": "md",
}
FONTS = {
    "Helvetica, Arial": "",
    "Times (serif)": "Times New Roman, Times, Liberation Serif, serif",
    "Computer Modern (serif)": "CMU Serif, Latin Modern Roman, Computer Modern, serif",
    "DejaVu Sans": "DejaVu Sans, sans-serif",
}
FOLDER = "figures"
PAUSE_SECONDS = 0.3


class SaveFigure(Saver):
    """Controls under the figures of a panel; "Save" writes a file and offers a download.

    Args:
        figures: Returns the current figures by name.
        folder: Folder of the files; created with the first file.

    Example:
        >>> from qtha_lab.figures import seed_spread
        >>> save = SaveFigure(lambda: {"seeds": seed_spread({"lora": [4.0, 4.2]})})
        >>> save.form.value, save.target.value
        ('pdf', 'one-column')
    """

    def __init__(self, figures: Callable[[], Mapping[str, Figure]], folder: Path | str = FOLDER):
        super().__init__("Save", button_style="primary")
        self.figures, self.folder = figures, Path(folder)
        self.which = _list("figure", ())
        self.form, self.font = _list("as", FORMS.items()), _list("font", FONTS.items())
        self.target = _list("size", [name for name in TARGETS if name != "screen"])
        self.legend, self.theme = _list("legend", LEGENDS), _list("theme", ("light", "dark"))
        limits = {"min": 4, "max": 40, "step": 0.5, "layout": boxes.layout(width="140px")}
        self.points = boxes.styled(ipw.BoundedFloatText, 8.0, description="points", **limits)
        self.short = boxes.button("Short names", icon="compress")
        self.fields, self.preview = boxes.row(), boxes.text("", "qtha-preview")
        for control in (self.which, self.target, self.font, self.points, self.legend, self.theme):
            control.observe(lambda _: self.background.start("preview", self.show_preview), "value")
        self.short.on_click(self.error.guard(lambda _: self.offer_names(short=True)))
        self.target.observe(lambda _: self._usual_points(), "value")
        self.which.observe(self.error.guard(lambda _: self.offer_names()), "value")
        self.first = boxes.row()
        style = boxes.row([self.font, self.points, self.legend, self.theme, self.short])
        save = boxes.row([self.button, self.done])
        self.children = self.first, style, self.fields, save, self.error.panel, self.preview
        boxes.classed(self, "qtha-save")
        self.offer()

    # ---- choices

    def offer(self) -> None:
        """Update the choice of figures, and the names in the chosen figure."""
        names = list(self.figures())
        if tuple(names) != tuple(self.which.options):
            self.which.options = tuple(names)
        if names and self.which.value not in names:
            self.which.value = names[0]
        several = [self.which] if len(names) > 1 else []
        self.first.children = (*several, self.form, self.target)
        self.offer_names()
        self.background.start("preview", self.show_preview)

    async def bring(self) -> None:
        """Focus the button once the page has drawn it: the controls above come into view."""
        await asyncio.sleep(PAUSE_SECONDS)
        self.button.focus()

    async def show_preview(self) -> None:
        """Draw the figure in its chosen style, after a pause in the choices."""
        await asyncio.sleep(PAUSE_SECONDS)
        if self.which.value is not None:
            self.preview.value = boxes.scrolled(await asyncio.to_thread(self.drawn))

    def drawn(self) -> str:
        """Return the figure in its chosen style as SVG."""
        return static_svg.svg(self.figure.drawing(self.page_style), self.figure.alt, below=False)

    def offer_names(self, short: bool = False) -> None:
        """Show a field for each name in the legend; text that a user wrote stays.

        Args:
            short: Fill the fields with short names: labels without the parts that all labels of a
                method share.
        """
        if self.which.value is None:
            return
        labels = labels_in(self.figure.at(PageStyle(inches=40)))  # wide: no name is wrapped
        before = {field.description: field.value for field in self.fields.children}
        names = short_names(labels)
        texts = {label: names[label] if short else before.get(label, label) for label in labels}
        self.fields.children = [boxes.styled(ipw.Text, texts[n], description=n) for n in labels]

    @property
    def figure(self) -> Figure:
        """The chosen figure."""
        return self.figures()[cast(str, self.which.value)]

    @property
    def page_style(self) -> PageStyle:
        """Size, font, names and legend as chosen."""
        names = tuple(
            (f.description, f.value.strip()) for f in self.fields.children if f.value.strip()
        )
        chosen = (self.theme, self.target, self.font, self.legend)
        theme, target, family, legend = (cast(str, control.value) for control in chosen)
        renamed = tuple(pair for pair in names if pair[0] != pair[1])
        return PageStyle(theme, target, family, self.points.value, 0.0, renamed, legend)

    def _usual_points(self) -> None:
        self.points.value = TARGETS[cast(str, self.target.value)].font_points

    def write(self) -> Path:
        """Write the chosen figure as chosen, without overwriting an existing file."""
        if self.which.value is None:
            raise Refusal("No figure to save is drawn.")
        figure = self.figure
        return export_figure(
            figure,
            free_path(self.folder, figure.name, cast(str, self.form.value)),
            page_style=self.page_style,
        )


def save_fold(panel: Any) -> Fold:
    """Return a folded `SaveFigure` of a panel that has `figures`; built on first opening."""
    fold = Fold("Save figure", lambda: SaveFigure(lambda: panel.figures))

    def bring(change: Any) -> None:
        if change["new"]:
            save = fold.place.children[0]
            save.background.start("bring", save.bring)

    fold.observe(bring, "unfolded")
    return fold


def _list(description: str, options: Iterable[Any]) -> ipw.Dropdown:
    width = boxes.layout(width="auto")
    return boxes.styled(ipw.Dropdown, options=[*options], description=description, layout=width)
