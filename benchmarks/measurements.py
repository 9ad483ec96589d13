"""What our own measurements came to: from the folders that `qtha-lab compare` wrote, reports,
packed runs and tables.

    qtha-lab compare data/measurements/tiny-qa.yaml --out out/measurements/tiny-qa      hours,
    resumable
    python benchmarks/measurements.py tiny-qa                                           write what
    it came to
    python benchmarks/measurements.py tiny-qa --unpack                                  its runs,
    back to out/measurements

`data/results/NAME` gets the data of the report (`report.json`) and the runs without their weights
and the records of single
steps (`runs.tar.xz`), from which the report can be written again and the comparison goes on;
`docs/results/NAME.md` gets the table.
What is said of the runs is worked out anew each time; the packed runs stay the same file as long as
they are the same runs.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.model_task_pairs import Cell
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison.claims import Claim, claims
from qtha_lab.studies.comparison.contenders import contender_records
from qtha_lab.studies.comparison.entries import entry
from qtha_lab.studies.comparison.folder import ComparisonDir
from qtha_lab.studies.comparison.report import Report
from qtha_lab.studies.comparison.report.contents import Compared
from qtha_lab.studies.comparison.row_losses import read_items
from qtha_lab.studies.comparison.summary import summary_of

ROOT = Path(__file__).resolve().parent.parent
FILES, OUT = ROOT / "data" / "measurements", ROOT / "out" / "measurements"
RESULTS, PAGES = ROOT / "data" / "results", ROOT / "docs" / "results"
PACKED = "runs.tar.xz"
KEPT_OF_A_TUNING = ("sweep.yaml", "journal.log")
SAID = ("comparison.yaml", "summary.json")  # of the runs, and no part of them
KEPT = (*SAID, "lineup.json", "seconds_per_step.json")
KEPT_OF_A_RUN = (
    "experiment.yaml", "events.jsonl", "summary.json", "environment.json", "exit.json", "test.json",
)  # fmt: skip
STEP = b'"kind": "train"'  # of the events: nine in ten, and no report reads them
LARGE = "lora(r=8)"
SMALL_SHARE = 0.24  # of its trained parameters: the paper's "76 % fewer"
RULES = (
    "Intervals of a column hold simultaneously with 95 %, and p is below 0.05 where the interval"
    " excludes zero. Differences within the margin of ±0.02 nat are equivalent."
)


def write(name: str, folder: Path) -> None:
    """The report, the packed runs and the table of a measurement.

    Args:
        name: Of its file in `data/measurements`.
        folder: What `qtha-lab compare` wrote.

    Raises:
        Refusal: If the folder holds no comparison, or one of which no run has ended.
    """
    out = RESULTS / name
    say_anew(folder, Comparison.from_yaml(FILES / f"{name}.yaml").rates_from)
    write_json(out / "report.json", Report.of(folder).plain())
    if not holds(out / PACKED, folder):
        pack(folder, out / PACKED)
    PAGES.mkdir(parents=True, exist_ok=True)
    (PAGES / f"{name}.md").write_text(page(name, Compared.of(folder)), encoding="utf-8")


def say_anew(folder: Path, rates_from: str = "") -> None:
    """Write `summary.json` anew from the runs that it lists; starts nothing.

    Args:
        folder: What `qtha-lab compare` wrote.
        rates_from: Where the rates that its methods state were chosen.
    """
    place, before = ComparisonDir(folder), Compared.of(folder)
    comparison = before.comparison.replace(rates_from=rates_from)
    if comparison != before.comparison:
        place.write(comparison)
    repeats = [
        entry(run, status)
        for run in list_runs(place.perturbed_dir)[::-1]
        if (status := run.status()).ended
    ]
    stored = before.summary.get("contenders") or before.summary.get("lineup")  # packed before 0.3.0
    contenders = stored or contender_records(comparison, comparison.contenders())
    ended, expected = before.runs.values(), before.summary["expected"]
    summary = summary_of(comparison, contenders, before.summary["runs"], ended, repeats, expected)
    if summary != before.summary:
        write_json(place.summary, summary)


def pack(folder: Path, archive: Path) -> None:
    """Keep what reports read of a comparison and its runs.

    Always the same bytes of the same files.
    """
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for name, content in _contents(folder):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), int((folder / name).stat().st_mtime)
            packed.addfile(entry, io.BytesIO(content))


def holds(archive: Path, folder: Path) -> bool:
    """Whether an archive has the runs of a folder already, whatever is said of them."""
    if not archive.exists():
        return False
    with tarfile.open(archive) as packed:
        files = {m.name: packed.extractfile(m) for m in packed if m.name not in SAID}
        before = {name: file.read() for name, file in files.items() if file}
    return before == {name: of for name, of in _contents(folder) if name not in SAID}


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What is packed, by its place in the folder, in order."""
    files = [folder / name for name in KEPT]
    for runs in ("runs", "rounding", "tuning/*/runs"):
        files += [file for name in KEPT_OF_A_RUN for file in folder.glob(f"{runs}/*/{name}")]
    for name in KEPT_OF_A_TUNING:
        files += folder.glob(f"tuning/*/{name}")
    for file in sorted(file for file in files if file.is_file()):
        content = file.read_bytes()
        if file.name == "events.jsonl":
            content = b"".join(line for line in content.splitlines(True) if STEP not in line)
        yield str(file.relative_to(folder)), content


def unpack(archive: Path, folder: Path) -> None:
    """Lay packed runs where `qtha-lab compare` goes on with them.

    Raises:
        Refusal: If there is something in the folder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Refusal(f"{folder} is not empty: give --folder another one, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


def page(name: str, compared: Compared) -> str:
    """A measurement as Markdown.

    Where it comes from, a row for each method, and who is ahead of the larger LoRA.
    """
    seeds = compared.comparison.seeds
    planned = Comparison.from_yaml(FILES / f"{name}.yaml").seeds
    fewer = f" --seeds {','.join(map(str, seeds))}" if seeds != planned else ""
    rates = ", ".join(f"{rate:g}" for rate in sorted(compared.comparison.learning_rates))
    tuned = "each method at the rate that tuning on other seeds chose"
    stated = tuned if compared.comparison.tuning else "each method at the rate that it states"
    tried = f"rates {rates}" if rates else stated
    ended = f"{len(compared.entries)} of {compared.summary['expected']}"
    origin = (
        f"`qtha-lab compare data/measurements/{name}.yaml --out out/measurements/{name}{fewer}` "
        f" \n{ended} runs, seeds {min(seeds)} to {max(seeds)}, {tried}; the whole report: `python"
        f" -m benchmarks.measurements {name} --unpack`, then `qtha-lab report"
        f" out/measurements/{name}`"
    )
    large = against(compared, LARGE)
    parts = [*_parts(compared.parts)]
    rounding = [note for note in compared.summary["notes"] if note.startswith("Rounding noise")]
    said = [*_sentences(compared, large), RULES, *rounding]
    return "\n".join([origin, "", *_table(compared, large), "", "\n\n".join(said), *parts, ""])


def against(compared: Compared, reference: str) -> dict[str, Claim]:
    """The methods of at most `SMALL_SHARE` of the reference's parameters against it, as a family of
    claims of its own.

    Args:
        compared: A comparison of one model and task.
        reference: Label without rate.
    """
    groups = compared.by_family(compared.best)
    if reference not in groups:
        return {}
    small = _small(groups, reference)
    pairs = {Cell.of(compared.best[0]): [(name, reference) for name in small]}
    items = read_items(compared.runs.values())
    found = claims(compared.best, pairs, items, margin=compared.comparison.margin)
    return {claim.first: claim for claim in found}


def _small(groups: dict[str, list[dict[str, Any]]], reference: str = LARGE) -> list[str]:
    """The methods of at most `SMALL_SHARE` of the reference's parameters."""
    most = SMALL_SHARE * groups[reference][0]["trainable_parameters"]
    return [name for name, of in groups.items() if of[0]["trainable_parameters"] <= most]


def _table(compared: Compared, large: dict[str, Claim]) -> Iterator[str]:
    groups = compared.by_family(compared.best)
    first = compared.families[0]
    beside = {claim["first"]: claim for claim in compared.claims}
    whole = groups.get(LARGE, [{}])[0].get("trainable_parameters")
    names = compared.names
    yield (
        f"| method | trained parameters | rate | test loss | − {names[first]} | p | verdict "
        f"| − {names.get(LARGE, LARGE)}, of the small | p | verdict |"
    )
    yield "|---|---:|---:|---:|---|---:|---|---|---:|---|"
    for name, entries in groups.items():
        count = entries[0]["trainable_parameters"]
        share = f" ({100 * count / whole:.1f} %)" if whole else ""
        claims = beside.get(name), large[name].plain() if name in large else None
        cells = [
            f"`{names[name]}`",
            f"{count:,}{share}",
            f"{entries[0]['learning_rate']:g}",
            f"{fmean(entry['test_loss'] for entry in entries):.3f}",
            *(tell(claim) for claim in claims for tell in (_difference, _p, _verdict)),
        ]
        yield f"| {' | '.join(cells)} |"


def _parts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What each part of QTHA adds, where the comparison has its controls."""
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
    """A difference with its interval, bold where it is shown."""
    if claim is None:
        return ""
    text = f"{claim['mean']:+.3f} [{claim['low']:+.3f}, {claim['high']:+.3f}]"
    return f"**{text}**" if claim["verdict"] == "shown" else text


def _p(claim: dict[str, Any] | None) -> str:
    """The p of a claim among those of its column."""
    return "" if claim is None else f"{claim['p']:.2g}"


def _verdict(claim: dict[str, Any] | None) -> str:
    """The verdict of a claim; a shown difference within the margin is marked."""
    if claim is None:
        return ""
    within = claim["verdict"] == "shown" and claim["is_within_margin"]
    return f"{claim['verdict']}, within ±{claim['margin']:g}" if within else claim["verdict"]


def _sentences(compared: Compared, large: dict[str, Claim]) -> Sequence[str]:
    if not large:
        groups = compared.by_family(compared.best)
        why = "it needs three seeds that have both"
        if LARGE not in groups:
            why = "it is none of the methods"
        elif not _small(groups):
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
    parser.add_argument("names", nargs="*", choices=[*known, []], help="all that were run")
    parser.add_argument("--folder", type=Path, default=OUT, help="of the folders NAME")
    parser.add_argument("--unpack", action="store_true", help="lay out the packed runs")
    options = parser.parse_args()
    for name in options.names or known:
        if options.unpack:
            unpack(RESULTS / name / PACKED, options.folder / name)
        elif (options.folder / name / "summary.json").exists():
            write(name, options.folder / name)
        elif options.names:
            parser.error(
                f"{options.folder / name} holds no measurement: --folder is what the folder {name}"
                " lies in"
            )


if __name__ == "__main__":
    main()
