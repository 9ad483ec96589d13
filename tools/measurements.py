"""Measurements of `data/measurements`: reports, packed runs and tables.

    qtha-lab compare data/measurements/tiny-qa.yaml --out out/measurements/tiny-qa    (hours)
    python -m tools.measurements tiny-qa             pack the runs, and write the table
    python -m tools.measurements tiny-qa --unpack    unpack its runs to out/measurements

`data/results/NAME` gets the claims of the report (`claims.json`), and the runs without weights and
events of single steps (`runs.tar.xz`). Losses of test rows are packed as a table, for the runs that
claims read: those at the best rate of their method. The report can be written again from them, and
the comparison can continue. `docs/results/NAME.md` gets the table.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import math
import re
import tarfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import show
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.comparison.claims import Claim, claims
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.contenders import contender_records
from qtha_lab.studies.comparison.report import Report
from qtha_lab.studies.comparison.results_of_runs import summary_of
from qtha_lab.studies.comparison.row_losses import read_items
from tools.row_keys import add_keys

ROOT = Path(__file__).resolve().parent.parent
FILES, OUT = ROOT / "data" / "measurements", ROOT / "out" / "measurements"
RESULTS, PAGES = ROOT / "data" / "results", ROOT / "docs" / "results"
PACKED = "runs.tar.xz"
CLAIMS = "claims.json"
FILES_OF_A_COMPARISON = (
    "comparison.yaml", "summary.json", "lineup.json", "seconds_per_step.json",
)  # fmt: skip
FILES_OF_A_TUNING = ("sweep.yaml", "journal.log")
FILES_OF_A_RUN = (
    "experiment.yaml", "events.jsonl", "summary.json", "environment.json", "exit.json",
)  # fmt: skip
ROWS = "test.json"
OF_THE_ROWS = ("items", "labels", "keys", "key_name")
STEP = b'"kind": "train"'  # nine in ten events, and no report reads them
MILLISECONDS = re.compile(rb'("t": \d+\.\d{3})\d+')
MEAN_ERROR = 1e-5  # nats by which rounded losses of rows may move their mean; tables print 1e-3
STATISTIC = re.compile(rb"-?\d+\.\d{6,}(?:e[+-]\d+)?")
STATISTICS = (b'"kind": "bottleneck"', b'"kind": "spectrum"')
DIGITS = 7  # of claims, the precision of float32
STATISTIC_DIGITS = 4  # of packed statistics of bottlenecks and spectra
LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]
GRADIENT = "qtha_gradient(r=4)"
BALANCED = {
    "tiny": "qtha(r=4,waist=16,bond_dim=3)",
    "smollm2-135m": "qtha(r=4,waist=32,bond_dim=3)",
}
LARGE, SMALL = "lora(r=8)", "lora(r=2,lora_alpha=4)"
COMPARED = {LARGE, SMALL, GRADIENT, *BALANCED.values()}
EVERY_RATE = {  # measurements of which `tools.one_rate` reads all rates: packed rows; None is all
    "smollm2-definitions": None,
    "smollm2-qa": None,
    "shared-rates-smollm2-definitions": None,
    "shared-rates-smollm2-qa": None,
    "smollm2-chat": None,
    "half-smollm2-qa": None,
    "tiny-chat": COMPARED,
    "tiny-qa": COMPARED,
    "qtha-paper-small": None,
}
SMALL_SHARE = 0.24  # of its trained parameters: the paper's "76 % fewer"
RULES = (
    "Intervals of a column hold simultaneously with 95 %, and p is below 0.05 where the interval"
    " excludes zero. Differences within the margin of ±0.02 nat are equivalent."
)


def write(name: str, folder: Path) -> None:
    """Write the claims, the packed runs and the table of a measurement from its folder."""
    out = RESULTS / name
    out.mkdir(parents=True, exist_ok=True)
    if without_keys := add_keys(list_runs(folder / "runs")):
        show(f"{name}: rows of {without_keys} runs are taken as independent, without keys.")
    update_summary(folder, Comparison.from_yaml(FILES / f"{name}.yaml").rates_from)
    report = Report.of(folder).plain()
    write_json(out / CLAIMS, rounded({key: report[key] for key in ("claims", "decomposition")}))
    without = runs_without_rows(folder, EVERY_RATE.get(name, ()))
    if not holds(out / PACKED, folder, without):
        pack(folder, out / PACKED, without)
    PAGES.mkdir(parents=True, exist_ok=True)
    (PAGES / f"{name}.md").write_text(page(name, Compared.of(folder)), encoding="utf-8")


def update_summary(folder: Path, rates_from: str = "") -> None:
    """Write `summary.json` again from the runs that it lists; start no run."""
    place, before = ComparisonStudy(folder), Compared.of(folder)
    comparison = before.comparison.replace(rates_from=rates_from)
    if comparison != before.comparison:
        place.write(comparison)
    repeats = [
        run.outcome(status)
        for run in list_runs(place.perturbed_dir)[::-1]
        if (status := run.status()).ended
    ]
    stored = before.summary.get("contenders") or before.summary.get("lineup")  # packed before 0.3.0
    contenders = stored or contender_records(comparison, comparison.contenders())
    ended, expected = before.runs.values(), before.summary["expected"]
    summary = summary_of(comparison, contenders, before.summary["runs"], ended, repeats, expected)
    if summary != before.summary:
        write_json(place.summary_file, summary)


def runs_without_rows(folder: Path, every_rate: Collection[str] | None = ()) -> set[str]:
    """Return the runs of a comparison whose losses of test rows no claim and no figure reads.

    Args:
        folder: Folder of the comparison.
        every_rate: Methods that figures show at all learning rates; None for all methods.
    """
    compared = Compared.of(folder)
    if every_rate is None:
        return set()
    read = compared.frame[compared.frame["family"].isin(every_rate)]
    return compared.runs.keys() - {*compared.best["run_id"], *read["run_id"]}


def pack(folder: Path, archive: Path, without: Collection[str] = ()) -> None:
    """Pack the files of a comparison that reports read; equal files give equal bytes."""
    with (
        lzma.open(archive, "wb", filters=LZMA) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as packed,
    ):
        for name, content in _contents(folder, without):
            entry, file = tarfile.TarInfo(name), folder / name
            entry.size, entry.mtime = (
                len(content),
                int(file.stat().st_mtime) if file.exists() else 0,
            )
            packed.addfile(entry, io.BytesIO(content))


def holds(archive: Path, folder: Path, without: Collection[str] = ()) -> bool:
    """Report if an archive has the files of a folder, some runs without losses of test rows."""
    if not archive.exists():
        return False
    with tarfile.open(archive) as packed:
        files = {m.name: packed.extractfile(m) for m in packed}
        before = {name: file.read() for name, file in files.items() if file}
    return before == dict(_contents(folder, without))


def _contents(folder: Path, without: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the packed files, equal names together, which packs smaller."""
    files = [folder / name for name in FILES_OF_A_COMPARISON]
    for runs in ("runs", "rounding", "tuning/*/runs"):
        files += [file for name in FILES_OF_A_RUN for file in folder.glob(f"{runs}/*/{name}")]
    for name in FILES_OF_A_TUNING:
        files += folder.glob(f"tuning/*/{name}")
    for file in sorted((f for f in files if f.is_file()), key=lambda file: (file.name, file)):
        content = file.read_bytes()
        if file.name == "events.jsonl":
            lines = (_shorter(line) for line in content.splitlines(True) if STEP not in line)
            content = MILLISECONDS.sub(rb"\1", b"".join(lines))
        yield str(file.relative_to(folder)), content
    # no claim reads rows of other runs
    rows = [f for f in sorted(folder.glob(f"runs/*/{ROWS}")) if f.parent.name not in without]
    yield from _row_tables({f.parent.name: json.loads(f.read_bytes()) for f in rows})


def _row_tables(of_runs: dict[str, dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield a table of losses by test row for the runs with equal rows, which packs smaller."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for run, of in of_runs.items():
        rows = {name: of[name] for name in OF_THE_ROWS if name in of}
        tables.setdefault(json.dumps(rows), {})[run] = of
    for n, (rows, runs) in enumerate(tables.items()):
        shared = json.loads(rows)
        decimals = row_decimals(shared["labels"])
        losses = [[round(loss, decimals) for loss in of["losses"]] for of in runs.values()]
        table = {
            "steps": {run: of.get("step") for run, of in runs.items()},
            **shared,
            "losses": list(zip(*losses, strict=True)),
        }
        yield f"rows-{n}.json", json.dumps(table, separators=(",", ":")).encode()


def row_decimals(labels: Sequence[int]) -> int:
    """Return the decimals of the losses of rows that keep the error of a mean below `MEAN_ERROR`.

    A loss rounded to d decimals has the standard deviation 10^-d / √12. The mean divides by the
    number of labels.

    Args:
        labels: Number of labels by row.

    Example:
        >>> row_decimals([10] * 1024), row_decimals([20] * 112)
        (2, 3)
    """
    error = math.sqrt(len(labels) / 12) / sum(labels)
    return math.ceil(math.log10(error / MEAN_ERROR))


def rounded(value: Any) -> Any:
    """Return JSON data with its numbers rounded to `DIGITS` digits."""
    return json.loads(
        json.dumps(value), parse_float=lambda number: float(f"{float(number):.{DIGITS}g}")
    )


def _shorter(line: bytes) -> bytes:
    """Round the numbers of an event of statistics to `STATISTIC_DIGITS` digits."""
    if not any(kind in line for kind in STATISTICS):
        return line
    return STATISTIC.sub(lambda number: f"{float(number[0]):.{STATISTIC_DIGITS}g}".encode(), line)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack runs to a folder in which `qtha-lab compare` can continue."""
    if folder.exists() and any(folder.iterdir()):
        raise Refusal(f"--folder must be empty, got {folder}.")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    for file in folder.glob("rows-*.json"):
        table = json.loads(file.read_bytes())
        shared = {name: table[name] for name in OF_THE_ROWS if name in table}
        of_runs = zip(table["steps"].items(), zip(*table["losses"], strict=True), strict=True)
        for (run, step), losses in of_runs:
            write_json(folder / "runs" / run / ROWS, {"step": step, **shared, "losses": losses})
        file.unlink()


def packed_tables(archive: Path) -> list[dict[str, Any]]:
    """Return the tables of test rows in an archive, one for each set of rows."""
    with tarfile.open(archive) as packed:
        files = [packed.extractfile(m) for m in packed if re.fullmatch(r"rows-\d+\.json", m.name)]
        return [json.loads(file.read()) for file in files if file]


def page(name: str, compared: Compared) -> str:
    """Return a measurement as Markdown: its commands, a row per method, and verdicts."""
    seeds = compared.comparison.seeds
    planned = Comparison.from_yaml(FILES / f"{name}.yaml").seeds
    is_range = [*seeds] == [*range(min(seeds), max(seeds) + 1)]
    listed = f"{min(seeds)} to {max(seeds)}" if is_range else ", ".join(map(str, seeds))
    fewer = f" --seeds {','.join(map(str, seeds))}" if seeds != planned else ""
    rates = ", ".join(f"{rate:g}" for rate in sorted(compared.comparison.learning_rates))
    tuned = "each method at the rate that tuning on other seeds chose"
    stated = tuned if compared.comparison.tuning else "each method at the rate that it states"
    tried = f"rates {rates}" if rates else stated
    ended = f"{len(compared.frame)} of {compared.summary['expected']}"
    origin = (
        f"`qtha-lab compare data/measurements/{name}.yaml --out out/measurements/{name}{fewer}` "
        f" \n{ended} runs, seeds {listed}, {tried}; the whole report: `python"
        f" -m tools.measurements {name} --unpack`, then `qtha-lab report"
        f" out/measurements/{name}`"
    )
    large = against(compared, LARGE)
    parts = [*_parts(compared.parts)]
    rounding = [note for note in compared.summary["notes"] if note.startswith("Rounding noise")]
    said = [*_sentences(compared, large), RULES, *rounding]
    return "\n".join([origin, "", *_table(compared, large), "", "\n\n".join(said), *parts, ""])


def against(compared: Compared, reference: str) -> dict[str, Claim]:
    """Compare the methods of at most `SMALL_SHARE` of the reference's parameters with it."""
    best = compared.drawn.drop_duplicates("family").set_index("family")
    if reference not in best.index:
        return {}
    small = _small(best, reference)
    pairs = {best["model_task"].iloc[0]: [(name, reference) for name in small]}
    items = read_items(compared.runs.values())
    margin = compared.comparison.margin
    found = claims(compared.frame, pairs, items, margin=margin)
    return {claim.first: claim for claim in found}


def _small(best: pandas.DataFrame, reference: str = LARGE) -> list[str]:
    """Return the methods of at most `SMALL_SHARE` of the reference's parameters."""
    counts = best["trainable_parameters"]
    return [*best.index[counts <= SMALL_SHARE * counts[reference]]]


def _table(compared: Compared, large: dict[str, Claim]) -> Iterator[str]:
    groups = compared.drawn.groupby("family", sort=False)
    first = compared.families[0]
    beside = {claim["first"]: claim for claim in compared.claims}
    whole = groups["trainable_parameters"].first().get(LARGE)
    names = compared.names
    yield (
        f"| method | trained parameters | rate | test loss | − {names[first]} | p | verdict "
        f"| − {names.get(LARGE, LARGE)}, of the small | p | verdict |"
    )
    yield "|---|---:|---:|---:|---|---:|---|---|---:|---|"
    for name, runs in groups:
        count = runs["trainable_parameters"].iloc[0]
        share = f" ({100 * count / whole:.1f} %)" if whole else ""
        claims = beside.get(name), large[name].plain() if name in large else None
        cells = [
            f"`{names[name]}`",
            f"{count:,}{share}",
            f"{runs['learning_rate'].iloc[0]:g}",
            f"{fmean(runs['test_loss']):.3f}",
            *(tell(claim) for claim in claims for tell in (_difference, _p, _verdict)),
        ]
        yield f"| {' | '.join(cells)} |"


def _parts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the contribution of each part of QTHA, if the comparison has its controls."""
    if not rows:
        return
    yield from (
        "",
        "| part of QTHA | adds, in nats of test loss | p | verdict |",
        "|---|---|---:|---|",
    )
    for row in rows:
        yield f"| {row['part']} | {_difference(row)} | {_p(row)} | {_verdict(row)} |"


def _difference(claim: dict[str, Any] | None) -> str:
    """Return a difference with its interval, bold if it is shown."""
    if claim is None:
        return ""
    text = f"{claim['mean']:+.3f} [{claim['low']:+.3f}, {claim['high']:+.3f}]"
    return f"**{text}**" if claim["verdict"] == "shown" else text


def _p(claim: dict[str, Any] | None) -> str:
    """Return the p of a claim."""
    return "" if claim is None else f"{claim['p']:.2g}"


def _verdict(claim: dict[str, Any] | None) -> str:
    """Return the verdict of a claim; a shown difference within the margin is marked."""
    if claim is None:
        return ""
    word, neighbour = claim["verdict"], claim["neighbour"]
    if word == "shown" and claim["is_within_margin"]:
        word += f", within ±{claim['margin']:g}"
    if word.startswith("shown") and neighbour == "not run":
        word += "; neighbouring rate not run"
    return f"{word}, not shown at the neighbouring rate" if neighbour == "fails" else word


def _sentences(compared: Compared, large: dict[str, Claim]) -> Sequence[str]:
    if not large:
        best = compared.drawn.drop_duplicates("family").set_index("family")
        why = "it needs three seeds that have both"
        if LARGE not in best.index:
            why = "it is none of the methods"
        elif not _small(best):
            why = f"no other method has at most {100 * SMALL_SHARE:g} % of its parameters"
        return [f"No interval against `{LARGE}`: {why}."]
    ahead = [n for n, c in large.items() if c.difference.is_shown and c.difference.mean < 0]
    behind = [n for n, c in large.items() if c.difference.is_shown and c.difference.mean > 0]
    words = [
        f"Of {_count(len(large))} with at most {100 * SMALL_SHARE:g} % of the parameters of"
        f" `{LARGE}`, {len(ahead) or 'none'} {'is' if len(ahead) < 2 else 'are'} shown to be ahead"
        f" of it{_named(ahead)}, {len(behind) or 'none'} behind{_named(behind)}."
    ]
    return [" ".join(words)]


def _count(methods: int) -> str:
    return "one method" if methods == 1 else f"{methods} methods"


def _named(labels: Sequence[str]) -> str:
    return f" ({', '.join(f'`{label}`' for label in labels)})" if labels else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = sorted(file.stem for file in FILES.glob("*.yaml"))
    parser.add_argument("names", nargs="*", choices=[*known, []], help="measurements")
    parser.add_argument("--folder", type=Path, default=OUT, help="folder of the folders NAME")
    parser.add_argument("--unpack", action="store_true", help="unpack the runs")
    options = parser.parse_args()
    for name in options.names or known:
        if options.unpack:
            if name in options.names or (RESULTS / name / PACKED).exists():
                unpack(RESULTS / name / PACKED, options.folder / name)
        elif (options.folder / name / "summary.json").exists():
            write(name, options.folder / name)
        elif options.names:
            parser.error(f"--folder must hold the measurement {name}, got {options.folder}.")


if __name__ == "__main__":
    main()
