"""The public workflows are valid, and run targets that the Makefile has."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def jobs_of(file: Path) -> dict:
    return yaml.safe_load(file.read_text())["jobs"]


def test_both_supported_ends_of_python_are_tested():
    versions = jobs_of(ROOT / ".github" / "workflows" / "test.yml")["test"]["strategy"]["matrix"]
    assert versions == {"python": ["3.11", "3.13"]}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_has_triggers_time_limits_and_steps_of_one_kind(file):
    assert yaml.safe_load(file.read_text())[True]  # YAML 1.1 reads the key `on` as true
    for job in jobs_of(file).values():
        assert 0 < job["timeout-minutes"] <= 360
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_runs_targets_of_the_makefile(file):
    for job in jobs_of(file).values():
        matrix = job.get("strategy", {}).get("matrix", {})
        named = [text.split()[0] for text in matrix.get("target", [])]
        named += [
            name
            for step in job["steps"]
            for name in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
        ]
        assert set(named) <= TARGETS


def test_the_nightly_workflow_runs_what_make_nightly_runs():
    (line,) = re.findall(r"^nightly: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = jobs_of(ROOT / ".github" / "workflows" / "nightly.yml")["nightly"]["strategy"]
    assert {text.split()[0] for text in targets["matrix"]["target"]} == set(line.split())
