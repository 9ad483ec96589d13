"""A reproduction as a study: trials, runs of all arms, and verdict.

All files are in `out/NAME` (`out/NAME-quick` for the quick form): `reproduction.yaml`, `runs/`,
`tuning/` and `verdict.json`. An arm that does its own work runs in the process of the study; a
fine-tune runs in a worker as any other run.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from qtha_lab.core.io import write_json
from qtha_lab.experiment.description import StoredDescription
from qtha_lab.reproductions.machinery.registry import (
    LEAST_SEEDS,
    QUICK_SEEDS,
    Reproduction,
    reproduction_of,
)
from qtha_lab.reproductions.machinery.run_arms import Arm, run_arms
from qtha_lab.reproductions.machinery.tuning import Tuned, tune
from qtha_lab.reproductions.machinery.verdicts import headline, verdicts
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.row_losses import read_items
from qtha_lab.studies.study import Study
from qtha_lab.studies.work import OnProgress, Work
from qtha_lab.training.summary import git_state

OUT = Path("out/reproductions")
VERDICT = "verdict.json"


class ReproductionForm(StoredDescription, init=False):
    """Reproduction with its form and its number of seeds."""

    name: str
    """Name of the reproduction; with settings as NAME(setting=value,...)."""
    quick: bool = False
    """Quick form: fewer seeds and steps, no choice of learning rates."""
    seeds: int = Field(default=LEAST_SEEDS, ge=1)
    """Number of seeds, from 0."""

    plugins: ClassVar[list[str]] = []

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse an unknown reproduction or setting, or a missing library."""
        reproduction_of(self.name)


class ReproductionStudy(Study):
    """Runs of all arms and seeds of a reproduction."""

    kind, describes, works_here = "reproduction", ReproductionForm, True

    def check_edit(self, described: ReproductionForm) -> None:
        """Accept any number of seeds; the name of the folder states the rest."""

    def plan(self, work: Work) -> Iterator[None]:
        """Choose the learning rates in the full form, run the arms, and return the verdict."""
        described: ReproductionForm = self.trusted
        of, quick = reproduction_of(described.name), described.quick
        tuned: dict[str, Tuned] = {}
        if of.is_tuned and not quick:
            tuned = yield from tune(of, work, self.path / "tuning")
        # group the arms of a seed, as a comparison groups its methods
        arms = [
            Arm(arm, seed, quick, tuned[arm].rate_factor if tuned else 1.0)
            for seed in range(described.seeds)
            for arm in of.arms
        ]
        done = yield from run_arms(of, arms, work, self.path / "runs")
        verdict = _verdict(of, done, tuned, quick, described.seeds)
        write_json(self.path / VERDICT, verdict)
        return verdict


def reproduce(
    name: str,
    out: Path | str = OUT,
    *,
    quick: bool = False,
    seeds: int | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Run all arms of a reproduction; a repeated call with the same `out` resumes.

    In the full form the learning rate of each arm is chosen first, where there is one.

    Args:
        name: Name of the reproduction; with settings as `NAME(setting=value,…)`.
        out: Folder of reproductions.
        quick: Run the quick form.
        seeds: Number of seeds, from 0; None is 5, for the quick form 3.
        on_progress: Called with each run and its status.

    Returns:
        Content of `verdict.json`: name, claims with verdicts, run entries, seconds, and command.

    Raises:
        Refusal: If a reproduction, setting or requirement is missing, or a run was stopped
            or failed.

    Example:
        >>> reproduce("ttn_vqc", quick=True)["headline"]  # doctest: +SKIP
        'inconclusive; 1 of 4 claims shown'
    """
    of = reproduction_of(name)
    count = seeds if seeds is not None else QUICK_SEEDS if quick else LEAST_SEEDS
    described = ReproductionForm(name=of.text, quick=quick, seeds=count)
    return ReproductionStudy(Path(out) / folder_name(of, quick)).run(
        described, on_progress, check=False
    )


def folder_name(of: Reproduction, quick: bool) -> str:
    """Return the folder name of a reproduction: name, changed settings and form."""
    values = [f"{name}_{value}" for name, value in of.options.items()]
    text = "-".join([of.name, *values, *["quick"] * quick])
    return re.sub(r"[^\w.-]", "_", text)


def _verdict(
    of: Reproduction, done: dict[Arm, Run], tuned: dict[str, Tuned], quick: bool, seeds: int
) -> dict[str, Any]:
    """Return the content of `verdict.json`."""
    entries: dict[str, dict[int, Any]] = {}
    for arm, run in done.items():
        entries.setdefault(arm.name, {})[arm.seed] = run.outcome()
    finished = {
        arm: {seed: e for seed, e in by_seed.items() if e["state"] == "finished"}
        for arm, by_seed in entries.items()
    }
    claims = [v.plain() for v in verdicts(of, finished, quick, read_items(done.values()))]
    every = [e for by_seed in entries.values() for e in by_seed.values()]
    command = f"qtha-lab reproduce {shlex.quote(of.text)}{' --quick' * quick} --seeds {seeds}"
    trials = sum(arm.seconds for arm in tuned.values())
    return {
        "name": of.name,
        "arxiv": of.arxiv,
        "quick": quick,
        "seeds": seeds,
        "headline": headline(claims),
        "claims": claims,
        "command": command,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": (git_state(Path(__file__).parents[3]) or {}).get("commit", ""),
        "seconds": trials + sum(e.get("wall_seconds") or 0.0 for e in every),
        "tuned": {arm: of_arm.plain() for arm, of_arm in tuned.items()},
        "arms": {arm: list(by_seed.values()) for arm, by_seed in entries.items()},
    }
