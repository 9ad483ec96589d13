"""`qtha-lab reproduce`: run a paper's small task with its controls, and print the findings."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.output import app, bar_per_run, duration, print_json, print_text, progress
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import show


@app.command()
def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The reproduction, as --list names it; 'NAME(setting=value)' sets what it has."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, one after the other.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List them with their last verdict.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and steps.")] = False,
    seeds: Annotated[int | None, typer.Option(help="How many seeds, from 0 on.")] = None,
    out: Annotated[Path, typer.Option(help="Where runs and verdicts go.")] = Path(
        "out/reproductions"
    ),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a paper's small task with its controls, and print the verdicts.

    Run the command again to continue after an interruption.
    """
    from qtha_lab.runs.process_start import FORKABLE

    os.environ.update(FORKABLE)  # before numpy is imported
    from qtha_lab.reproductions import REPRODUCTIONS
    from qtha_lab.reproductions.machinery import listing

    if listed:
        table = listing.short_table(out)
        if json:
            print_json([dict(zip(table[0], row, strict=True)) for row in table[1:]])
        else:
            for row in table[1:]:
                _print_row(dict(zip(table[0], row, strict=True)))
        return
    if every == (name is not None):
        raise Refusal(
            f"The name of one reproduction or --all must be given, got {name or 'neither'}. "
            "`--list` shows the names."
        )
    omissions = _omissions(list(REPRODUCTIONS)) if every else {}
    names = [each for each in REPRODUCTIONS if each not in omissions] if every else [str(name)]
    verdicts = [_reproduced(each, out, quick, seeds) for each in names]
    if json:
        without = [{"name": each, "left_out": sentence} for each, sentence in omissions.items()]
        print_json([*verdicts, *without] if every else verdicts[0])
        return
    for verdict in verdicts:
        _print(verdict)
    for each, sentence in omissions.items():
        print_text(f"{each} was left out: {sentence}")


def _print_row(row: dict[str, str]) -> None:
    """Print a system in four lines; a table of eight columns fits no terminal."""
    print_text(f"{row['name']} ({row['arXiv']}): {row['last verdict']}")
    print_text(row["claim"], "  claim: ")
    print_text(row["paper says"], "  paper: ")
    origin = f"{row['minutes']} minutes; {row['date, commit']}"
    print_text(f"{row['scale']}; {origin}", "  here:  ")


def _omissions(names: list[str]) -> dict[str, str]:
    """Return the reproductions that cannot run here, with the reasons."""
    from qtha_lab.reproductions.machinery.registry import reproduction_of

    sentences = {}
    for name in names:
        try:
            reproduction_of(name)
        except Refusal as refused:
            sentences[name] = str(refused)
    return sentences


def _reproduced(name: str, out: Path, quick: bool, seeds: int | None) -> dict[str, Any]:
    from qtha_lab import reproductions
    from qtha_lab.core.method_styles import shown

    with progress() as bars:
        show_run = bar_per_run(
            bars,
            lambda run: f"{name} {shown(run.experiment.method.label)}",
            lambda run, status: f"seed {run.experiment.seed} {status.state}",
        )
        return reproductions.reproduce(name, out, quick=quick, seeds=seeds, on_progress=show_run)


def _print(verdict: dict[str, Any]) -> None:
    """Print the verdicts of one reproduction, and the rates within the noise of the trials."""
    from qtha_lab.reproductions.machinery.tuning import trial_sentences

    form = ", quick form" if verdict["quick"] else ""
    print_text(f"{verdict['name']} ({verdict['arxiv']}{form}): {verdict['headline']}")
    for claim in verdict["claims"]:
        print_text(claim["sentence"], "- ")
    for sentence in trial_sentences(verdict["tuned"]):
        print_text(sentence, "- ")
    show(f"  {verdict['command']}, {duration(verdict['seconds'])}")
