"""Controls that save a description as a notebook that repeats it."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import write_atomically
from qtha_lab.core.paths import as_path

from ..kit import boxes


class NotebookSource(Protocol):
    """An experiment, a comparison or a sweep."""

    def to_notebook(self) -> str:
        """Return the text of the notebook."""
        ...


class SaveNotebook(ipw.VBox):
    """A file name and a button for the notebook of a description.

    Args:
        describe: Returns the present description; may refuse.

    Example:
        >>> from qtha_lab.experiment import Comparison
        >>> save = SaveNotebook(Comparison)
        >>> save.file.value = str(getfixture("tmp_path") / "mine.ipynb")
        >>> save.write().name
        'mine.ipynb'
    """

    def __init__(self, describe: Callable[[], NotebookSource]):
        self.describe, self.error = describe, boxes.ErrorText()
        self.file = boxes.styled(ipw.Text, "repeat.ipynb", description="notebook")
        button = boxes.button("Save as notebook", icon="book")
        button.on_click(self.error.guard(lambda _: self.write()))
        self.state = boxes.text()
        parts = [boxes.row([self.file, button, self.state]), self.error.panel]
        super().__init__(parts, layout=boxes.layout())

    def write(self) -> Path:
        """Write the file and show its path.

        Raises:
            Refusal: If the file exists, or the description is refused.
        """
        name = self.file.value.strip()
        path = as_path(name if name.endswith(".ipynb") else f"{name}.ipynb")
        text = self.describe().to_notebook()
        if path.exists():
            raise Refusal(f"{path} must be a new file, got an existing one. Choose another name.")
        write_atomically(path, text)
        self.state.value = boxes.lines([f"{path.resolve()}: Run All repeats it"])
        return path
