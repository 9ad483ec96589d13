"""Finding on the comparison protocol: methods, seeds, rows, versions and commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from qtha_lab.core import call_syntax
from qtha_lab.experiment.run_directory import read_mapping
from qtha_lab.figures.machinery.table import Table
from qtha_lab.studies.comparison import tuning
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.differences import missing, stated
from qtha_lab.studies.comparison.finding import CodeListing, Finding
from qtha_lab.studies.comparison.found_runs import renamed
from qtha_lab.studies.comparison.row_losses import read_items

FILE = "comparison.yaml"


def measured(compared: Compared) -> Finding:
    """State the comparison protocol."""
    tables = {
        "The methods: what they are called in figures, and in full": _methods(compared),
        "The machines, libraries, model and rows of the runs": _environment(compared),
    }
    sentences = [*_rows_and_seeds(compared), *_rules(compared), *_other_notes(compared)]
    if not compared.runs:
        sentences.append("The directories of the runs are not here, so their versions are unknown.")
    present = {caption: table for caption, table in tables.items() if table.rows}
    listings = [
        CodeListing(
            "In a shell, with the file below; runs in the folder are reused",
            command(compared),
        ),
        CodeListing("The file that repeats it", compared.yaml, FILE),
    ]
    return Finding(sentences, (), present, listings)


def command(compared: Compared) -> str:
    """Return the shell command that repeats the comparison from its file."""
    return f"qtha-lab compare {FILE} --out {compared.folder.resolve().name}"


def _rows_and_seeds(compared: Compared) -> Iterator[str]:
    comparison, training = compared.comparison, compared.comparison.training
    seeds = ", ".join(map(str, comparison.seeds))
    models, tasks = comparison.models or [comparison.model], comparison.tasks or [comparison.task]
    length = f"{training.epochs:g} epochs" if training.epochs else f"{training.steps} steps"
    if comparison.matching == "equal_seconds":
        length = "steps by equal seconds"
    yield renamed(
        f"{'Model' if len(models) == 1 else 'Models'} {', '.join(models)},"
        f" {'task' if len(tasks) == 1 else 'tasks'} {', '.join(tasks)}; {length} in batches of"
        f" {training.batch_size} rows; {'seed' if len(comparison.seeds) == 1 else 'seeds'}"
        f" {seeds}.",
        compared.places,
    )
    if training.patience:
        by = f" by {training.min_improvement:g} nats" if training.min_improvement else ""
        yield (
            "Every method by the same rule: training ended early where the evaluation loss did not"
            f" improve{by} in {training.patience} evaluations, {training.eval_every} steps apart,"
            " and the adapter of its lowest evaluation loss was saved and tested."
        )
    sides = {
        "trained": training.train_rows,
        "evaluated": training.eval_rows,
        "tested": training.test_rows,
    }
    counts = ", ".join(
        f"{verb} on {'all rows that there are' if count is None else f'at most {count} rows'}"
        for verb, count in sides.items()
    )
    tests = {len(items.names) for items in read_items(compared.runs.values()).values()}
    tested = f"; {', '.join(map(str, sorted(tests)))} test rows in each run" if tests else ""
    yield f"Methods were {counts}{tested}."


def _rules(compared: Compared) -> Iterator[str]:
    comparison = compared.comparison
    if comparison.rounding:
        seed = comparison.rounding_seed
        of = f"seed {comparison.seeds[0] if seed is None else seed}"
        yield f"Rounding noise: {comparison.rounding} runs of {of} with 1-ulp perturbations."
    yield f"Differences within ±{comparison.margin:g} nat count as equivalent."
    yield (
        f"Matching: {comparison.matching.replace('_', ' ')}. Scaling:"
        f" {comparison.scaling.replace('_', ' ')}."
    )


def _other_notes(compared: Compared) -> list[str]:
    """Return the notes of the summary that no other finding has."""
    in_other_findings = {*compared.tuned, *missing(compared), *stated(compared)}
    return [note for note in compared.summary["notes"] if note not in in_other_findings]


def _methods(compared: Compared) -> Table:
    rows = [
        row
        for model_task in compared.model_tasks
        for row in _methods_in(compared.of_model_task(model_task), compared.names)
    ]
    columns = (
        "name",
        "model",
        "task",
        "method",
        "trainable_parameters",
        "steps",
        "tuned",
        "rates tried",
        "best rate",
        "seeds at it",
    )
    remaining = [
        n for n, name in enumerate(columns) if name in _ALWAYS or len({row[n] for row in rows}) > 1
    ]
    return Table([columns[n] for n in remaining], [[row[n] for n in remaining] for row in rows])


_ALWAYS = ("name", "method", "trainable_parameters", "rates tried", "best rate", "seeds at it")


def _methods_in(compared: Compared, names: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """Yield a row per method: name, size, steps and tuning."""
    best, tried = tuning.best_rates(compared.frame), tuning.rates(compared.frame)
    became = {record["method"]: record for record in compared.summary.get("contenders") or ()}
    for name, runs in compared.frame.groupby("family", sort=False):
        count = next(iter(runs["trainable_parameters"].dropna()), None)
        model_task, record = runs["model_task"].iloc[0], became.get(name, {})
        rates = ", ".join(f"{rate:g}" for rate in tried.get(name, {}))
        seeds = compared.best["seed"][compared.best["family"].eq(name)].nunique()
        point = call_syntax.write_options(record.get("point") or {})
        yield (
            names[name],
            model_task.model,
            model_task.task_with_options,
            name,
            count,
            record.get("steps"),
            point or None,
            rates or None,
            best.get(name),
            seeds,
        )


def _environment(compared: Compared) -> Table:
    """Build the table of environment facts, with the number of runs per fact."""
    counts: Counter[tuple[str, str]] = Counter()
    for run in compared.runs.values():
        facts = read_mapping(run.files.environment) or {}
        plugins = read_mapping(run.files.plugins) or {}
        pairs = [*_facts(facts), *((f"plugin {name}", str(text)) for name, text in plugins.items())]
        counts.update(pairs)
    order = list(dict.fromkeys(name for name, _ in counts))
    rows = sorted(counts.items(), key=lambda item: order.index(item[0][0]))
    return Table(
        ("fact", "as recorded", "runs"), [(what, text, count) for (what, text), count in rows]
    )


def _facts(environment: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and texts of an environment; nested entries have both names."""
    for name, value in environment.items():
        if name == "git" and isinstance(value, dict):
            changed = " with changes" if value.get("dirty") else ""
            yield "commit", f"{value.get('commit')}{changed}"
        elif name == "packages" and isinstance(value, dict):
            yield from ((package, str(version)) for package, version in value.items())
        elif isinstance(value, dict):
            yield from (
                (name if part == "name" else f"{name}, {part}", str(text))
                for part, text in value.items()
            )
        elif value is not None:
            yield name, str(value)
