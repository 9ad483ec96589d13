"""`qtha-lab predict`: predict a text or the rows of a file with a trained adapter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qtha_lab.cli.output import app, csv_line, print_json
from qtha_lab.cli.run import Json
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import at_line, csv_cell, show, table_rows, table_suffix

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
    return predictor_of(run.attach(of).files)


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
