"""pyproject.toml, constraints.txt, environment.yml, the Makefile and the README say the same thing."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from support.core_environment import required

import qtha_lab

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Flower moves the tested versions of typer, rich, packaging and protobuf: it has an environment of
# its own; `make release` installs its tools itself
APART = ("federated", "release")
EXTRAS = [
    line
    for name, extra in PROJECT["optional-dependencies"].items()
    for line in extra
    if name not in APART
]
REQUIREMENTS = [
    requirement
    for requirement in map(Requirement, [*PROJECT["dependencies"], *EXTRAS])
    if requirement.name != PROJECT["name"]  # an extra that holds another one
]
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M
    )
}
INSTALLED = ("lab", "figures", "hub", "sweep", "scores")  # by `make lab`
FOUNDATIONS = (
    "jupyterlab ipywidgets torch transformers pennylane pennylane-lightning plotly tensornetwork"
)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
def test_every_dependency_has_a_tested_version_inside_its_range(requirement):
    name = canonicalize_name(requirement.name)
    if name == "torch":
        assert name not in PINS, "torch is a range, never an exact pin"
        assert not any(s.operator == "==" for s in requirement.specifier)
        return
    assert PINS[name] in requirement.specifier


def test_the_packages_that_the_project_is_made_of_are_dependencies():
    assert set(FOUNDATIONS.split()) <= required(map(str, REQUIREMENTS)).keys()


def test_transformers_and_peft_are_a_pair_that_fits():
    # transformers 5.24 calls peft >= 0.22 in load_adapter.
    assert PINS["transformers"] < Version("5.24")
    assert PINS["peft"] >= Version("0.21.2")


def test_a_cap_has_its_reason_above_it():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    capped = [i for i, line in enumerate(lines) if re.search(r'"[\w\[\]-]+[^"]*,<\d', line)]
    assert capped
    assert all(lines[i - 1].lstrip().startswith("#") for i in capped)


def test_conda_installs_from_the_same_two_files_and_lists_nothing_itself():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert [re.split(r"[<>=]", name)[0] for name in conda] == ["python", "pip"]
    assert pip == {"pip": ["--constraint constraints.txt", "--editable .[lab,sweep,scores]"]}
    assert PROJECT["requires-python"].removeprefix(">=") in conda[0]


def pip_commands(target: str) -> list[str]:
    """Arguments of the pip commands that `make` would run for a target in a new checkout."""
    command = ["make", "--dry-run", "--always-make", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return re.findall(r"pip install --quiet +(.*)", done.stdout)


@pytest.mark.parametrize(
    ("target", "arguments"),
    [("install", "--editable .[lab,sweep,scores]"), ("tools", "--editable .[test]")],
)
def test_the_makefile_installs_from_the_same_two_files(target, arguments):
    upgrade, install = map(shlex.split, pip_commands(target))
    assert upgrade == ["--upgrade", "pip"]
    assert install == ["--constraint", "constraints.txt", *arguments.split()]


def test_the_workbench_is_set_up_without_the_tools_of_tests():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^lab: install\n", makefile, re.M)
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for name in INSTALLED for line in extras[name])]
    needed = {canonicalize_name(Requirement(line).name) for line in lines}
    tools = {"basedpyright", "ruff", "pytest", "playwright", "hypothesis", "mkdocs-material"}
    named = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    assert tools <= named - needed


def test_the_version_is_said_the_same_everywhere():
    assert qtha_lab.__version__ == PROJECT["version"]
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_starts_with_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert readme.index("make lab") < readme.index("make test") < readme.index("\n## ")
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_classifiers_name_types_system_and_pythons():
    classifiers = set(PROJECT["classifiers"])
    least = PROJECT["requires-python"].removeprefix(">=")
    python = f"Programming Language :: Python :: {least}"
    assert {"Typing :: Typed", "Operating System :: OS Independent", python} <= classifiers


@pytest.mark.skipif("urls" not in PROJECT, reason="the project has no address yet")
def test_links_of_the_readme_are_absolute():
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("name", qtha_lab.__all__)
def test_what_an_editor_sees_is_there_at_run_time(name):
    assert name in dir(qtha_lab)
    assert getattr(qtha_lab, name) is not None
    imported = re.findall(
        r"^    from \S+ import (\([^)]+\)|.+)$", Path(qtha_lab.__file__).read_text(), re.M
    )
    assert name == "__version__" or name in re.findall(r"\w+", " ".join(imported))


def test_every_jupyterlab_of_the_environment_has_the_extension():
    """An installation copies its files, an editable one too; `make install` copies them anew."""
    installed = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "qtha-lab"
    files = [path for path in (ROOT / "labextension").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"package.json", "install.json", "remoteEntry.js"}
    for path in files:
        copy = installed / path.relative_to(ROOT / "labextension")
        assert copy.read_bytes() == path.read_bytes()


def test_make_starts_jupyterlab_by_the_command_of_the_package():
    printed = subprocess.run(
        ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", "lab", "OPEN=0", "PORT=8890"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert printed.strip() == '.venv/bin/qtha-lab lab --port 8890 --dir "." --no-browser'
