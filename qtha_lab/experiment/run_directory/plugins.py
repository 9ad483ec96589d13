"""Plugins of a folder: recorded at launch, compared and trusted before they are imported again.

A resumed run must use the same plugin code as at launch. A comparison, sweep or federation needs
trust only.

A package declares members by entry points (`qtha_lab.methods`, …). `plugins` handles files and
modules that an experiment names itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping, shortened, write_json
from qtha_lab.core.plugin_loading import fingerprints, load_plugins
from qtha_lab.core.registry import Registry, entry_points
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import trust
from qtha_lab.experiment.run_directory.files import RunDir


class HasPlugins(Protocol):
    """Description with plugins."""

    plugins: list[str]


D = TypeVar("D", bound=HasPlugins)


def trusted(folder: Path, described: D) -> D:
    """Return the description in a folder if this user trusts its plugins; imports nothing.

    Raises:
        Refusal: If the user does not.
    """
    trust.check_trust(folder, fingerprints(described.plugins, folder))
    return described


def record_trust(folder: Path, described: HasPlugins) -> dict[str, str]:
    """Record that this user trusts the present plugins of a description in a folder.

    Returns:
        SHA-256 of each plugin by name; empty if there is none.
    """
    if digests := fingerprints(described.plugins, folder):
        trust.store_trust(folder, digests)
    return digests


def record_plugins(run: RunDir) -> None:
    """Record and trust the plugins of a run that this user launches.

    Files and modules that the experiment names are recorded with their SHA-256. Installed packages
    whose members it uses are recorded with version, members and SHA-256.
    """
    digests = record_trust(run.path, run.experiment)
    if recorded := digests | packages_of(run.experiment):
        write_json(run.plugins, recorded)


def check_plugins(run: RunDir) -> dict[str, str]:
    """Refuse changed, missing or untrusted plugins of a run; imports nothing.

    Returns:
        SHA-256 of each plugin by name.

    Raises:
        Refusal: With the plugin or package.
    """
    recorded = read_mapping(run.plugins) or {}
    check_packages(recorded)
    digests = fingerprints(run.experiment.plugins, run.path)
    for name, digest in digests.items():
        if recorded.get(name, digest) != digest:
            raise Refusal(
                f"Plugin {shortened(name)} must be unchanged since the launch of this run, got "
                "changes. Restore it, or launch a new run."
            )
    trust.check_trust(run.path, digests)
    return digests


def load_run_plugins(run: RunDir) -> None:
    """Import the plugins of a run.

    Raises:
        Refusal: For the reasons of `check_plugins`, or if a plugin cannot be imported.
    """
    digests = check_plugins(run)
    load_plugins(digests, digests, run.path)


FAMILIES = {
    "qtha_lab.methods": ("qtha_lab.adapters.peft", "OUR_METHODS"),
    "qtha_lab.circuits.ansatze": ("qtha_lab.circuits.ansatze", "ANSATZE"),
    "qtha_lab.engines": ("qtha_lab.simulators.registry", "ENGINES"),
    "qtha_lab.gates": ("qtha_lab.circuits", "GATES"),
    "qtha_lab.adapters.heads": ("qtha_lab.adapters.heads.registry", "HEADS"),
    "qtha_lab.tasks": ("qtha_lab.tasks.registry", "TASKS"),
}
"""Registry of each group of entry points; its module and name."""


def packages_of(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """List the installed packages whose members an experiment names.

    Returns:
        By package: `version`, `members` such as "method slim", and `sha256` of their modules.
    """
    packages: dict[str, dict[str, Any]] = {}
    words = None
    for group in FAMILIES:
        for point in entry_points(group):
            if point.dist is None or point.dist.name == "qtha-lab":
                continue
            words = words or set(re.findall(r"[\w.-]+", experiment.to_yaml()))
            for member, module in _members(group, point.module, words):
                entry = packages.setdefault(
                    point.dist.name, {"version": point.dist.version, "members": [], "sha256": {}}
                )
                if member not in entry["members"]:
                    entry["members"].append(member)
                entry["sha256"] |= fingerprints([module])
    return packages


def _members(group: str, module: str, words: set[str]) -> Iterator[tuple[str, str]]:
    """Yield members that a package registers and an experiment names, with their modules."""
    place, name = FAMILIES[group]
    registry: Registry = getattr(importlib.import_module(place), name)
    top = module.partition(".")[0]
    for word in sorted(words.intersection(registry)):
        owner = registry.module_of(word)
        if owner.partition(".")[0] == top:
            yield f"{registry.kind} {word}", owner


def check_packages(recorded: Mapping[str, Any]) -> None:
    """Compare recorded packages with the installed ones.

    Raises:
        Refusal: If a package is not installed or has changed.
    """
    for name, entry in recorded.items():
        if isinstance(entry, dict):
            _check(shortened(name), entry)


def _check(name: str, entry: Mapping[str, Any]) -> None:
    version = shortened(entry.get("version"), 40)
    members = entry.get("members")
    listed = shortened(", ".join(map(str, members)) if isinstance(members, list) else members)
    try:
        installed = importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise Refusal(
            f"Package {name} {version} is not installed for {listed}. Install {name}=={version}."
        ) from None
    if installed != version:
        raise Refusal(
            f"Package {name} must have version {version} as at the launch of this run, got "
            f"{installed}. Install {name}=={version}, or launch a new run."
        )
    digests = entry.get("sha256")
    if isinstance(digests, dict) and fingerprints(digests) != digests:
        raise Refusal(
            f"Package {name} {version} must be unchanged since the launch of this run, got "
            f"changes in {listed}. Reinstall {name}=={version}, or launch a new run."
        )
