"""Run one seed of a recorded reproduction again, and compare its numbers with the record.

    python -m tools.rerun_verdict              one reproduction and seed at random
    python -m tools.rerun_verdict flip --seed 3

The measures of its claims are compared, for every arm at the recorded learning rate. Ends with 1
if one differs by more than the margin within which two arms are equivalent.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import show
from qtha_lab.reproductions.machinery.listing import RECORDED, recorded_verdict
from qtha_lab.reproductions.machinery.registry import Reproduction, reproduction_of
from qtha_lab.reproductions.machinery.run_arms import Arm, run_arms
from qtha_lab.reproductions.machinery.tuning import recorded_factor
from qtha_lab.reproductions.machinery.verdicts import EQUIVALENT
from qtha_lab.runs.run import Run
from qtha_lab.studies.work import Work, complete


def differences(
    of: Reproduction, recorded: Mapping[str, Any], done: Mapping[Arm, Run]
) -> Iterator[tuple[str, str, float, float]]:
    """Yield arm, measure, recorded value and the value now, for the measures of the claims."""
    measures = dict.fromkeys(claim.measure for claim in of.claims)
    for arm, run in done.items():
        [then] = [entry for entry in recorded["arms"][arm.name] if entry["seed"] == arm.seed]
        now = run.summary or {}
        for measure in measures:
            if then.get(measure) is not None and now.get(measure) is not None:
                yield arm.name, measure, float(then[measure]), float(now[measure])


def main() -> int:
    """Rerun and print one line per arm and measure."""
    names = sorted(path.stem for path in RECORDED.glob("*.json"))
    parser = argparse.ArgumentParser(description="Rerun one seed of a recorded reproduction.")
    parser.add_argument("name", nargs="?", default=random.choice(names), choices=names)
    parser.add_argument("--seed", type=int, help="a recorded seed; one at random without it")
    chosen = parser.parse_args()
    try:
        of, recorded = reproduction_of(chosen.name), recorded_verdict(chosen.name)
    except Refusal as refused:
        show(str(refused))
        return 2
    assert recorded is not None  # the names are those of the records
    seed = random.randrange(recorded["seeds"]) if chosen.seed is None else chosen.seed
    tuned = recorded.get("tuned", {})
    arms = [Arm(arm, seed, False, recorded_factor(tuned.get(arm))) for arm in of.arms]
    show(f"{chosen.name}, seed {seed}, recorded {recorded['date']}")
    with tempfile.TemporaryDirectory() as folder:
        work = Work()
        done = complete(run_arms(of, arms, work, Path(folder)), work)
        rows = list(differences(of, recorded, done))
    for arm, measure, then, now in rows:
        show(f"{arm:20} {measure:22} {then:12.6g} {now:12.6g}  {now - then:+.2g}")
    return int(any(abs(now - then) > EQUIVALENT.get(name, 0.0) for _, name, then, now in rows))


if __name__ == "__main__":
    sys.exit(main())
