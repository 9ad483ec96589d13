"""`qtha-lab predict`, `evaluate` and `export`: uses of a trained run."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qtha_lab.cli.output import app, csv_line, print_json, print_table
from qtha_lab.cli.run import Json, RunId
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import at_line, csv_cell, shortened, show, table_rows, table_suffix
from qtha_lab.runs.export import KINDS

if TYPE_CHECKING:
    from qtha_lab.runs.prediction import Prediction, Predictor

CHUNK = 256  # rows in memory at once
Record = dict[str, Any]
Numbered = tuple[int, Record]


@app.command("predict")
def print_predictions(
    of: Annotated[
        str, typer.Argument(metavar="RUN|FOLDER", help="A run, or the folder of an export.")
    ],
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT…|FILE", help="A text, a pair of texts, or a file with the columns."
        ),
    ],
    base: Annotated[
        str, typer.Option(help="Base model of a FOLDER. Default: the name in the folder.")
    ] = "",
    json: Json = False,
) -> None:
    """Predict labels, numbers or answers of a text or a file.

    A file gives CSV with its columns and the predictions, or JSON Lines with --json.
    """
    predictor = _load(of, base)
    file = Path(texts[0])
    is_file = len(texts) == 1 and bool(table_suffix(file.name)) and _exists(file)
    if is_file:
        rows = _predicted(predictor, file)
        _print_lines(rows) if json else _print_csv(rows)
        return
    (result,) = predictor.predict([texts])
    print_json(result) if json else show(_sentence(result))


def _load(of: str, base: str) -> Predictor:
    from qtha_lab.experiment.prediction_settings import FILE
    from qtha_lab.runs import run
    from qtha_lab.runs.prediction import load_predictor, predictor_of

    if (Path(of) / FILE).is_file():
        return load_predictor(of, base)
    if base:
        raise Refusal(f"--base must be empty for a run, which names its base, got {base}.")
    return predictor_of(run.load_run(of).files)


def _exists(file: Path) -> bool:
    """Return True for an existing file; refuse the name of a missing one."""
    if not file.exists() and " " not in file.name:
        raise Refusal(f"FILE must exist, got {file}. Correct the path.")
    return file.exists()


def _predicted(predictor: Predictor, file: Path) -> Iterator[tuple[Record, Prediction]]:
    """Yield the records of a file with their predictions, in chunks."""
    rows = table_rows(file)
    while chunk := list(itertools.islice(rows, CHUNK)):
        records = [_checked(predictor, file, row) for row in chunk]
        yield from zip(records, predictor.predict(records), strict=True)


def _checked(predictor: Predictor, file: Path, row: Numbered) -> Record:
    """Return a record that can be predicted; a single column is the text."""
    number, record = row
    inputs = predictor.reader.inputs
    if len(inputs) == len(record) == 1 and inputs[0] not in record:
        record = {inputs[0]: next(iter(record.values()))}
    try:
        predictor.reader.row(record)
    except Refusal as problem:
        raise at_line(file, number, str(problem)) from None
    return record


def _columns(prediction: Prediction) -> Record:
    """Return the predictions of a table's row, with names apart from those of inputs."""
    return {f"predicted_{n}": v for n, v in prediction.items() if n != "probabilities"}


def _print_csv(rows: Iterator[tuple[Record, Prediction]]) -> None:
    names: list[str] = []
    for record, prediction in rows:
        cells = record | {name: csv_cell(value) for name, value in _columns(prediction).items()}
        if not names:
            names = list(cells)
            show(csv_line(names))
        show(csv_line([cells.get(name) for name in names]))


def _print_lines(rows: Iterator[tuple[Record, Prediction]]) -> None:
    for record, prediction in rows:
        show(dumps(record | {f"predicted_{n}": v for n, v in prediction.items()}))


def _sentence(prediction: Prediction) -> str:
    """Return a prediction on one line.

    Example:
        >>> _sentence({"label": "good", "probability": 0.934, "probabilities": {}})
        'good (probability 0.934)'
        >>> _sentence({"label": "4", "number": 3.7})
        '4 (number 3.7)'
    """
    main, *others = (n for n in prediction if n != "probabilities")
    text = f"{prediction[main]:.6g}" if main == "number" else str(prediction[main])
    details = [f"{name} {prediction[name]:.3g}" for name in others]
    return f"{text} ({', '.join(details)})" if details else text


@app.command()
def evaluate(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A finished run.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Another engine, such as device:default.qubit(shots=1000); may be repeated."
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="A task in place of the run's own; may be repeated.")
    ] = None,
    side: Annotated[str, typer.Option(help="Rows: test, eval or train.")] = "test",
    rows: Annotated[int, typer.Option(help="The most rows.", min=1)] = 128,
    cut: Annotated[
        str, typer.Option(help="Parts to set to zero, one at a time: W_q, W_c, angles.")
    ] = "",
    figure: Annotated[
        list[Path] | None,
        typer.Option(
            help=(
                "Also draw it, to a .pdf, .svg, .png, .html, .csv, .tex, .md or .py; may be"
                " repeated."
            )
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a run's adapter as trained, in variants, without parts, and at its start."""
    from qtha_lab.figures.machinery.export import FORMATS
    from qtha_lab.figures.machinery.provenance import Provenance
    from qtha_lab.runs.run import load_run
    from qtha_lab.studies.comparison.found_runs import commits
    from qtha_lab.training import evaluation_variants

    if side not in ("test", "eval", "train"):
        raise Refusal(f"side must be test, eval or train, got {shortened(repr(side))}.")
    for path in figure or ():
        if path.suffix.removeprefix(".").lower() not in FORMATS:
            raise Refusal(
                f"format must be one of {', '.join(FORMATS)}, got {shortened(repr(path.name))}."
            )
    cuts = [name.strip() for name in cut.split(",") if name.strip()]
    run = load_run(run_id)
    variants = list(
        evaluation_variants.evaluate_variants(
            run.files,
            engine=engine,
            task=task,
            side=side,
            rows=rows,
            cuts=cuts,
            start=True,
        )
    )
    for path in figure or ():
        origin = Provenance(runs=[run.id], commits=commits([run]))
        show(evaluation_variants.draw(variants).export(path, origin=origin), to=sys.stderr)
    if json:
        print_json([asdict(variant) for variant in variants])
        return
    for on in dict.fromkeys(variant.on for variant in variants):
        group = [variant for variant in variants if variant.on == on]
        show(f"{on}:")
        print_table(
            [
                ("adapter", "rows", "loss", "difference"),
                *(
                    (
                        v.name,
                        str(v.rows),
                        f"{v.scores['loss']:.4f}",
                        f"{v.scores['loss'] - group[0].scores['loss']:+.4f}",
                    )
                    for v in group
                ),
            ]
        )


@app.command("export")
def export_run(
    run_id: RunId,
    kind: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(KINDS)}.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="A new folder or file; default one in the run's folder.")
    ] = None,
    r: Annotated[int | None, typer.Option(min=1, help="Rank of a plain LoRA. Default: 8.")] = None,
    offset: Annotated[
        bool | None, typer.Option(help="Offset of a plain LoRA. Default: if it helps.")
    ] = None,
    json: Json = False,
) -> None:
    """Export a run: its adapter, a plain LoRA, a merged model, card, or description."""
    from qtha_lab.core.errors import Refusal
    from qtha_lab.runs import export
    from qtha_lab.runs.run import load_run

    run = load_run(run_id)
    if kind is None:
        print_table([("kind", "description"), *((name, k.summary) for name, k in KINDS.items())])
        return
    options = {n: v for n, v in (("r", r), ("offset", offset)) if v is not None}
    if options and kind != "lora":
        name = next(iter(options))
        raise Refusal(f"--{name} must be empty for {kind!r}, since it is that of a plain LoRA.")
    result = export.export_run(run, kind, to, **options)
    if json:
        print_json({"path": str(result.path), "message": result.message})
    else:
        show(f"{result.path}: {result.message}")
