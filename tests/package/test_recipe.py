"""The conda recipe says what pyproject.toml says, and rattler-build accepts it (`make release`)."""

import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILE = ROOT / "conda" / "recipe.yaml"
RECIPE = yaml.safe_load(FILE.read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = {"torch": "pytorch", "antlr4-python3-runtime": "antlr-python-runtime"}  # on conda-forge


def wanted(line):
    """Names and ranges of a requirement and of its extras, as conda states them."""
    requirement = Requirement(line)
    brought = [Requirement(each) for each in requires(requirement.name) or []]
    for each in [requirement, *brought]:
        needed = each is requirement or any(
            each.marker and each.marker.evaluate({"extra": extra}) for extra in requirement.extras
        )
        if needed:
            name = canonicalize_name(each.name)
            yield NAMES.get(name, name), frozenset(map(str, each.specifier))


def stated(line):
    name, *ranges = line.split(" ")
    return name, frozenset("".join(ranges).split(",")) - {""}


def test_the_recipe_has_the_version_and_dependencies_of_the_package():
    assert RECIPE["context"]["version"] == PROJECT["version"]
    ours = {entry for line in PROJECT["dependencies"] for entry in wanted(line)}
    run = set(map(stated, RECIPE["requirements"]["run"]))
    assert run == ours | {("python", frozenset({PROJECT["requires-python"]}))}
    commands = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == commands
    assert RECIPE["about"]["license"] == PROJECT["license"]


def test_rattler_build_renders_the_recipe():
    rattler_build = pytest.importorskip("rattler_build")
    rendered = rattler_build.Stage0Recipe.from_file(FILE).render()
    assert [each.recipe.package.version for each in rendered] == [PROJECT["version"]]
