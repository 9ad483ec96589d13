"""The public workflows are valid, and their Linux steps are commands of the Makefile."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINES = re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
TARGETS = {target for line in LINES for target in line.split()}
PYTHONS = ["3.11", "3.12", "3.13"]
BROWSER = "sudo apt-get update -qq && sudo apt-get install -y --no-install-recommends chromium"


def jobs_of(file: Path) -> dict:
    return yaml.safe_load(file.read_text())["jobs"]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-issue-forms", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_files_for_github_follow_their_schemas(schema, files):
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", schema, *files]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_three_systems_three_pythons_and_both_ends_of_versions_are_tested():
    jobs = jobs_of(ROOT / ".github" / "workflows" / "test.yml")
    assert jobs["test"]["strategy"]["matrix"] == {"python": PYTHONS}
    assert jobs["systems"]["strategy"]["matrix"] == {
        "system": ["ubuntu-latest", "macos-latest", "windows-latest"],
        "python": PYTHONS,
    }
    assert jobs["versions"]["strategy"]["matrix"]["include"] == [
        {"target": "lowest", "python": PYTHONS[0]},
        {"target": "newest", "python": PYTHONS[-1]},
    ]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_has_time_limits_and_actions_of_a_stated_version(file):
    for job in jobs_of(file).values():
        assert 0 < job["timeout-minutes"] <= 360
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_linux_steps_are_commands_of_the_makefile(file):
    for job in jobs_of(file).values():
        if job["runs-on"] != "ubuntu-latest":
            continue
        matrix = job.get("strategy", {}).get("matrix", {})
        targets = [*matrix.get("target", []), *(m["target"] for m in matrix.get("include", []))]
        assert {text.split()[0] for text in targets} <= TARGETS
        commands = [step["run"] for step in job["steps"] if "run" in step]
        for command in commands:
            if command == ".ci/run" or command.startswith(BROWSER):
                continue
            target = re.fullmatch(r"make ([a-z-]+|\$\{\{ matrix\.target \}\})", command)
            assert target, command
            assert target[1] in TARGETS or target[1].startswith("$")


def test_the_folders_of_tests_that_other_systems_run_exist():
    (steps,) = [
        job["steps"]
        for job in jobs_of(ROOT / ".github" / "workflows" / "test.yml").values()
        if job["runs-on"] != "ubuntu-latest"
    ]
    named = re.findall(r"tests/\w+", steps[-1]["run"])
    assert named
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_the_nightly_workflow_runs_what_make_nightly_runs():
    (line,) = re.findall(r"^nightly: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = jobs_of(ROOT / ".github" / "workflows" / "nightly.yml")["nightly"]["strategy"]
    assert {text.split()[0] for text in targets["matrix"]["target"]} == set(line.split())
