"""The plugins of a run: what they were when it was launched, and that they still are.

A run whose method has changed under it would go on as another one.
"""

from __future__ import annotations

from qtha_lab.errors import Refusal
from qtha_lab.plugin_loading import fingerprints, load_plugins
from qtha_lab.rundir.files import RunDir, read_mapping, write_json


def record_plugins(run: RunDir) -> None:
    """Write the fingerprints of the plugins that a run was launched with, if it has any."""
    if run.experiment.plugins:
        write_json(run.plugins, fingerprints(run.experiment.plugins))


def bring_plugins(run: RunDir) -> None:
    """Import the plugins of a run.

    Raises:
        Refusal: If one is gone, does not import or is not what it was.
    """
    names = run.experiment.plugins
    recorded = (read_mapping(run.plugins) or {}) if names else {}
    for name, digest in fingerprints(names).items():
        if recorded.get(name, digest) != digest:
            raise Refusal(
                f"plugin {name} was changed since this run was launched: "
                "put it back as it was, or launch a new run"
            )
    load_plugins(names)
