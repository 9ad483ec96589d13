"""Writer of notebook files without outputs.

Needs no Jupyter package, so a comparison on a cluster can write its notebook.
nbformat comes with the extra `lab` only.
"""

import json
from collections.abc import Sequence
from typing import Any


def code(source: str, *tags: str) -> dict[str, Any]:
    """Return a code cell."""
    metadata = {"tags": [*tags]} if tags else {}
    cell = {"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


def markdown(source: str) -> dict[str, Any]:
    """Return a cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def notebook_text(cells: Sequence[dict[str, Any]]) -> str:
    """Return the text of a notebook file.

    Example:
        >>> print(notebook_text([code("1 + 1")])[:15])
        {
         "cells": [
    """
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    whole = {
        "cells": [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
