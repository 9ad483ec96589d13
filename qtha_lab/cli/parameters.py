"""`qtha-lab parameters`: count the trained parameters of methods by rank, on any model."""

from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table
from qtha_lab.cli.run import Json
from qtha_lab.cli.text_table import markdown_table
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show, whole_number


@app.command("parameters")
def parameters_by_rank(
    model: Annotated[
        str,
        typer.Argument(help="A model, a folder with config.json, or a shape such as qwen2-7b."),
    ],
    methods: Annotated[
        str, typer.Option(help="Methods; the first is the reference.")
    ] = "lora,qtha(size=paper,n_layers=1)",
    ranks: Annotated[str, typer.Option(help="Ranks, such as 4,6,8,10.")] = "4,6,8,10",
    modules: Annotated[str, typer.Option(help="Adapted modules, or all-linear.")] = "q_proj,v_proj",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Json = False,
) -> None:
    """Count the trained parameters of methods by rank, without reading weights."""
    from qtha_lab.experiment.cost.sizes import parameter_table
    from qtha_lab.experiment.method_choice import MethodChoice

    words = split_list(ranks)
    if not words or any(whole_number(word, 99_999) is None for word in words):
        raise Refusal(f"ranks must be whole numbers such as 4,6,8, got {shortened(repr(ranks))}.")
    choices = [MethodChoice.parse(text) for text in split_list(methods)]
    targets = modules if modules == "all-linear" else split_list(modules)
    rows = parameter_table(model, choices, [int(word) for word in words], targets)
    if json:
        print_json([row._asdict() for row in rows])
        return
    table = [("r", "method", "per block", "in all", f"against {choices[0].label}")]
    for r, name, block, total, change in rows:
        table.append((str(r), name, f"{block:,}", f"{total:,}", f"{change:+.1%}"))
    show(markdown_table(table)) if markdown else print_table(table)
