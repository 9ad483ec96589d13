"""`qtha-lab parameters`, `check-data` and `bench`: measurements before a run."""

import dataclasses
import importlib
import importlib.util
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from qtha_lab.cli.output import app, print_json, print_table, print_text
from qtha_lab.cli.run import Json
from qtha_lab.cli.text_table import markdown_table
from qtha_lab.core.call_syntax import parse_options, split_list
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


@app.command("check-data")
def check_data_command(
    data: Annotated[str, typer.Argument(help="A file, folder, data set id or task.")],
    model: Annotated[str, typer.Option(help="Base model, whose tokenizer counts.")] = "tiny",
    max_length: Annotated[int, typer.Option(min=8, help="Cut-off in tokens.")] = 128,
    task_options: Annotated[
        str, typer.Option(help="Options such as prompt=frage,response=antwort.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show kind, columns, split, labels, lengths and three encoded rows of own data."""
    from qtha_lab.experiment.check_data import SHOWN_LABELS, check_data

    options = parse_options(task_options)
    report = check_data(data, model=model, max_length=max_length, **options)
    if json:
        print_json(dataclasses.asdict(report))
        return
    print_table([("data", report.name), *report.facts()])
    if report.labels:
        rows = [(label, *map(str, counts)) for label, counts in report.labels.items()]
        caption = f"{len(rows) - SHOWN_LABELS:,} more labels" if len(rows) > SHOWN_LABELS else ""
        heading = ("label", "training", "evaluation", "test")
        print_table([heading, *rows[:SHOWN_LABELS]], caption)
    for number, example in enumerate(report.examples, 1):
        show(f"Row {number} as the model sees it: {example}")
    for sentence in report.notes:
        print_text(f"Note: {sentence}")
    for sentence in report.advice:
        print_text(f"Advice: {sentence}")


class Benchmarks(TyperGroup):
    """The commands of `benchmarks.commands`."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        """Return the names of all benchmarks; refuse without a checkout."""
        return sorted(self._commands())

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        """Return the command of a name, or None if there is none."""
        return self._commands().get(cmd_name)

    @staticmethod
    def _commands() -> dict[str, Any]:
        if importlib.util.find_spec("benchmarks") is None:
            raise Refusal(
                "Benchmarks must run in a checkout of qtha-lab, got the installed package."
            )
        return dict(get_group(importlib.import_module("benchmarks.commands").app).commands)


bench = typer.Typer(
    cls=Benchmarks, help="Measure; each table names its machine.", no_args_is_help=True
)
app.add_typer(bench, name="bench")


@bench.callback()
def bench_commands() -> None:
    """Measure; each table names its machine."""
