"""`qtha-lab methods`: list every method and every control of the registry."""

import re
from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table
from qtha_lab.cli.text_table import markdown_table
from qtha_lab.core.declaration_cache import cached_declarations, declared_by_packages, is_loaded
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show

SIZE = re.compile(r"\s*[1-9][0-9]{,5}\s*")


@app.command()
def methods(
    sizes: Annotated[
        str, typer.Option(metavar="IN,OUT", help="Layer on which parameters are counted.")
    ] = "4096,4096",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List all methods and their classical controls."""
    parts = sizes.split(",")
    if len(parts) != 2 or not all(map(SIZE.fullmatch, parts)):
        raise Refusal(
            "sizes must have the form IN,OUT, two whole numbers of 1 to 999,999, got "
            f"{shortened(repr(sizes))}."
        )
    ins, outs = map(int, parts)
    tables = _counted(ins, outs)
    if json:
        records = [[dict(zip(t[0], row, strict=True)) for row in t[1:]] for t in tables]
        print_json({"methods": records[0], "controls": records[1]})
        return
    for table in tables:
        show(markdown_table(table) + "\n") if markdown else print_table(table)


def _counted(in_features: int, out_features: int) -> list[list]:
    """Return the tables from the cache, unless code has changed.

    They are computed if methods are already loaded or packages declare plugins, which may add rows.
    """
    name = f"methods-{in_features}-{out_features}"
    if is_loaded("qtha_lab.adapters") or declared_by_packages():
        return _tables(in_features, out_features)
    return cached_declarations(name, [""], lambda: _tables(in_features, out_features))


def _tables(in_features: int, out_features: int) -> list[list]:
    from qtha_lab.adapters import listing

    return [listing.methods_table(in_features, out_features), listing.controls_table()]
