"""Notebook files, with nbformat as oracle."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from qtha_lab.experiment.serialisation import code, markdown, notebook_text


def test_the_text_is_what_nbformat_writes():
    cells = [
        new_markdown_cell("# Title\n\nä text"),
        new_code_cell("a = 1\nb = 2", metadata={"tags": ["parameters"]}),
        new_code_cell(""),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    expected = nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel}))
    ours = notebook_text(
        [markdown("# Title\n\nä text"), code("a = 1\nb = 2", "parameters"), code("")]
    )
    assert ours == f"{expected}\n"
    nbformat.validate(nbformat.reads(ours, as_version=4))
