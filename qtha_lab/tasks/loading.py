"""Load a shipped task, a file of rows, a folder or a hub id.

A hash of the split key fixes evaluation and test rows (splits.py). So no seed ever trains on rows
with which another seed, or the pretraining of tiny, was measured.
"""

import json
import logging
import statistics
from collections.abc import Callable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import SUFFIXES, shortened, table_suffix
from qtha_lab.core.paths import as_path
from qtha_lab.core.settings import Setting, check_settings, settings_of, unknown
from qtha_lab.tasks.files import (
    OwnRows,
    few_answers,
    first_prompt,
    read_data_set,
    read_folder,
    read_table,
)
from qtha_lab.tasks.folders import check_folder
from qtha_lab.tasks.own_data import OwnData, number_of
from qtha_lab.tasks.registry import TASKS, TaskInfo
from qtha_lab.tasks.splits import Sides, apart, first_rows, memorised, normalised, ordered, split
from qtha_lab.tasks.task import Task, label_texts

log = logging.getLogger(__name__)

FEWEST_ROWS = 2
Labels = Callable[[dict], frozenset[str]]


def task_names() -> list[str]:
    """Return the names of the shipped tasks; paths and hub ids are accepted as well."""
    return list(TASKS)


def task_info(name: str) -> TaskInfo:
    """Return the declaration of a shipped task."""
    return TASKS.get_or_refuse(name)


def task_settings(name: str) -> dict[str, Setting]:
    """Return the options of a task, for forms and flags."""
    return settings_of(_options_class(name))


def check_task(name: str, **options: Any) -> None:
    """Refuse an unknown task, option or value, or an unreadable file, before loading.

    Example:
        >>> check_task("qna")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown task 'qna': did you mean 'qa'? ...
    """
    definition, path = _make_options(name, options), as_path(name)
    if name not in TASKS and path.is_file():
        read_table(path, definition)
    elif name not in TASKS and path.is_dir():
        check_folder(path)


def load_task(
    name: str,
    *,
    seed: int = 0,
    train_rows: int | None = None,
    eval_rows: int | None = None,
    test_rows: int | None = None,
    sealed: bool = False,
    **options: Any,
) -> Task:
    """Load training, evaluation and test rows, which share no split key.

    A task that is declared as memorised has its evaluation and test rows among the training rows.

    Args:
        name: A shipped task, a file of rows (.csv, .tsv, .json, .jsonl, .parquet, .txt, also with
            .gz), a folder of such files, or a Hugging Face data set id.
        seed: Seed that chooses and orders training and evaluation rows within their fixed pools.
        train_rows: Number of training rows; None takes the whole pool.
        eval_rows: Largest number of evaluation rows; None takes the whole pool.
        test_rows: Largest number of test rows, the same for every seed; None takes the whole pool.
        sealed: Take the test rows from the task's sealed pool.
        options: Options of the task, see `task_settings`.

    Raises:
        Refusal: If the pools are too small for the request.

    Example:
        >>> task = load_task("qa", train_rows=100, eval_rows=50)
        >>> len(task.train), len(task.eval), len(task.test)
        (100, 50, 112)
    """
    own, source = _own_rows(name, _make_options(name, options))
    answers = few_answers(own.rows) if own.key and own.kind == "lm" else ()
    covered = label_texts if own.key and (answers or _has_labels(own)) else _no_labels
    sides = apart(_sides(own, covered, seed), _unshared(name, own.key))
    sides = sides._replace(test=_test_pool(name, sides.test, sealed))
    counts = ", ".join(str(len(side)) for side in sides)
    log.info("%s: %s rows to train, evaluate and test on", name, counts)
    limits = {"eval_rows": eval_rows, "test_rows": test_rows}
    _check_counts(name, own.key, sides, train_rows, limits)
    if name in TASKS and TASKS[name].memorised:
        sides = memorised(sides)
    labels = _labels(own, sides)
    if len(labels) == 1:
        raise Refusal(f"{name} must have two labels or more, got {shortened(labels[0])!r} alone.")
    counted = zip(sides, (train_rows, eval_rows, test_rows), strict=True)
    train, evaluation, test = (first_rows(side, count, covered) for side, count in counted)
    scale = _scale(name, train) if own.kind == "regression" else (0.0, 1.0)
    return Task(
        name,
        own.kind,
        train,
        evaluation,
        test,
        labels,
        source,
        own.licence,
        own.key,
        answers,
        scale,
        own.shape,
        tuple(own.columns.items()),
        notes=own.notes,
        key_name=own.key or TASKS[name].key_name,
    )


def _own_rows(name: str, definition: Any) -> tuple[OwnRows, str]:
    """Read all rows of a task, and name their source."""
    if name in TASKS:
        info = TASKS[name]
        rows = list(definition.rows())
        return OwnRows(info.kind, "", rows, licence=info.licence), info.source
    path = as_path(name)
    if path.is_file():
        return read_table(path, definition), name
    if path.is_dir():
        return read_folder(path, definition), name
    return read_data_set(name, definition), f"https://huggingface.co/datasets/{name}"


def _has_labels(own: OwnRows) -> bool:
    """Return True if rows have classes, or ordered labels of own data."""
    is_ordered = (
        own.kind == "regression" and bool(own.key) and isinstance(own.rows[0]["label"], int)
    )
    return own.kind == "classification" or is_ordered


def _labels(own: OwnRows, sides: Sides) -> tuple[str, ...]:
    """Return classes or ordered labels: numbers by value, others by name."""
    if not _has_labels(own):
        return ()
    labels = {str(row["label"]) for side in sides for row in side}
    if own.key and all(number_of(label) is not None for label in labels):
        return tuple(sorted(labels, key=float))
    return tuple(sorted(labels))


def _scale(name: str, rows: list[dict]) -> tuple[float, float]:
    """Return mean and standard deviation of the numbers of training rows."""
    numbers = [row["label"] for row in rows]
    deviation = statistics.pstdev(numbers)
    if not deviation:
        raise Refusal(f"{name} must have two numbers or more, got {numbers[0]:g} alone.")
    return statistics.fmean(numbers), deviation


def _sides(own: OwnRows, covered: Labels, seed: int) -> Sides:
    """Split rows by the data set's own splits, or by hash if there are none.

    Training rows whose key is in a held-out split are removed.
    """
    rows, held_out = own.rows, own.held_out
    test_keys = {_key(row) for row in held_out.test or ()}
    held_keys = test_keys | {_key(row) for row in held_out.evaluation or ()}
    free = [row for row in rows if _key(row) not in held_keys]
    hashed = split(free, key=_key, seed=seed, labels=covered if own.key else None)
    train, evaluation, test = map(list, hashed)
    if held_out.evaluation is not None:
        train += evaluation
        evaluation = [row for row in held_out.evaluation if _key(row) not in test_keys]
    if held_out.test is not None:
        train += test
        test = held_out.test
    return hashed if held_keys == set() else ordered(Sides(train, evaluation, test), _key, seed)


def _test_pool(name: str, test: list[dict], sealed: bool) -> list[dict]:
    """Return the open or the sealed test rows; no key is in both."""
    count = TASKS[name].open_rows if name in TASKS else None
    if count is None:
        if sealed:
            with_one = ", ".join(n for n, info in TASKS.items() if info.open_rows is not None)
            raise Refusal(f"sealed must be false for {name}: only {with_one} have a sealed pool.")
        return test
    while 0 < count < len(test) and _key(test[count]) == _key(test[count - 1]):
        count += 1
    return test[count:] if sealed else test[:count]


def _no_labels(row: dict) -> frozenset[str]:
    return frozenset()


def _unshared(name: str, key: str) -> Labels:
    """Return the function that gives a row's texts which may be on one side only."""
    if _is_shipped(name):
        return _answers
    return _prompt_or_whole if key == "answer" else _whole


def _key(row: dict) -> str:
    return normalised(row["key"]) or row["key"]


def _is_shipped(name: str) -> bool:
    """Return True if a task is declared in `qtha_lab.tasks`."""
    return name in TASKS and TASKS[name].options.__module__.startswith("qtha_lab.tasks.")


def _whole(row: dict) -> frozenset[str]:
    """Return a row without its key, as one text."""
    return frozenset(
        [json.dumps({name: row[name] for name in row.keys() - {"key"}}, sort_keys=True)]
    )


def _prompt_or_whole(row: dict) -> frozenset[str]:
    prompt = first_prompt(row)
    return _whole(row) | {f"prompt {normalised(prompt) or prompt}"}


def _answers(row: dict) -> frozenset[str]:
    """Return the texts that a model learns: all answers, or the labelled text."""
    if "text" in row:
        return frozenset([normalised(row["text"]) or row["text"]])
    answers = [m["content"] for m in row["messages"] if m["role"] == "assistant"]
    return frozenset(normalised(text) or text for text in answers)


def _check_counts(
    name: str, key: str, sides: Sides, train_rows: int | None, others: dict[str, int | None]
) -> None:
    for option, rows in {"train_rows": train_rows, **others}.items():
        least = 0 if option == "test_rows" else 1
        if rows is not None and rows < least:
            raise Refusal(f"{option} must be at least {least}, got {rows}.")
    if min(map(len, sides)) < FEWEST_ROWS:
        raise Refusal(
            f"{name} must have {FEWEST_ROWS} rows or more per side, got {len(sides.train)} to "
            f"train on, {len(sides.evaluation)} to evaluate on and {len(sides.test)} to test on. "
            f"About one {key or 'answer'} in five is held out for each of the last two."
        )
    if train_rows is not None and train_rows > len(sides.train):
        raise Refusal(
            f"train_rows must be at most {len(sides.train):,} for {name}, got {train_rows:,}."
        )


def _options_class(name: str) -> type:
    if name in TASKS:
        return TASKS[name].options
    path = as_path(name)
    is_table = bool(table_suffix(path.name))
    if is_table and path.is_file():
        return OwnData
    if is_table and not path.exists():
        raise Refusal(f"{path} must be a file of rows, got no file. Correct the path.")
    if path.is_file():
        raise Refusal(
            f"{path.name} must be a file of rows ({', '.join(SUFFIXES)}), got another suffix. Save "
            "it in one of these formats."
        )
    if path.is_dir() or ("/" in name and not name.startswith((".", "/", "~"))):
        return OwnData
    if "/" in name:
        raise Refusal(f"{path} must be a folder of rows, got no folder. Correct the path.")
    raise unknown("task", name, TASKS)


def _make_options(name: str, options: dict[str, Any]) -> Any:
    options_class = _options_class(name)
    settings = settings_of(options_class)
    for option in options:
        if option not in settings:
            if not settings:
                raise Refusal(f"Task {name} must have no options, got {option!r}.")
            raise unknown(f"option of task {name}", option, settings)
    definition = options_class(**{n: _as_text(settings[n], v) for n, v in options.items()})
    check_settings(definition)
    return definition


def _as_text(setting: Setting, value: Any) -> Any:
    """Return a number as text for a setting of text, such as `label=2020`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if setting.type is str and is_number else value
