"""A plan is written once, and its outcome is computed from newer runs of its own methods only."""

from dataclasses import replace

import pytest
from support.refusals import refused

from qtha_lab.core.io import read_json
from qtha_lab.core.paths import data_dir
from qtha_lab.lessons.preregistration import outcome, preregister
from qtha_lab.runs.run import Run

QTHA = "qtha(r=4,waist=32,bond_dim=2,n_layers=2)"
RUNS = [Run(path) for path in sorted((data_dir() / "runs").glob("2*"))]
LORA = next(run for run in RUNS if "-lora-" in run.id)


def plan_in(folder, seeds=3):
    options = ",".join(f"{k}={v}" for k, v in (LORA.summary or {})["options"].items())
    lora = f"lora({options})" if options else "lora"
    return preregister(
        folder / "plan.json", question="Is it lower?", first=QTHA, second=lora, seeds=seeds
    )


def test_a_plan_is_written_with_its_time_and_never_overwritten(tmp_path):
    plan = plan_in(tmp_path)
    assert read_json(tmp_path / "plan.json")["written"] == plan.written
    with refused("A plan", "plan.json, which exists"):
        plan_in(tmp_path)


def test_runs_that_are_older_than_the_plan_are_refused(tmp_path):
    with refused("A run", "20261129"):
        outcome(plan_in(tmp_path), RUNS)


def test_the_outcome_is_the_mean_difference_of_the_plans_methods(tmp_path):
    plan = replace(plan_in(tmp_path), written="20261101-000000")
    found = outcome(plan, RUNS)
    losses = {name: [] for name in ("lora", "qtha")}
    for run in RUNS:
        summary = run.summary or {}
        losses[summary["method"]].append(summary["test_loss"])
    assert found.seeds == 3
    assert found.mean == pytest.approx((sum(losses["qtha"]) - sum(losses["lora"])) / 3)


def test_a_plan_with_more_seeds_than_runs_has_no_outcome(tmp_path):
    plan = replace(plan_in(tmp_path, seeds=4), written="20261101-000000")
    with refused("Both methods", "3 in common"):
        outcome(plan, RUNS)


def test_two_seeds_are_refused_since_they_have_no_interval(tmp_path):
    with refused("seeds", "2"):
        plan_in(tmp_path, seeds=2)
