"""Plugins of a folder: recorded at launch, compared and trusted before they are imported again.

A resumed run must use the same plugin code as at launch. A comparison, sweep or federation needs
trust only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping, shortened, write_json
from qtha_lab.core.plugin_loading import fingerprints, load_plugins
from qtha_lab.experiment.run_directory import trust
from qtha_lab.experiment.run_directory.files import RunDir
from qtha_lab.experiment.run_directory.packages import check_packages, packages_of


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
