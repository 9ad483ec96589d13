"""The launch of further runs under the name of those that they continue."""

from qtha_lab.experiment import Comparison
from qtha_lab.runs.launch import launch_all
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.contenders import timed
from qtha_lab.studies.comparison.protocol import open_sealed_pool


def add_runs(comparison: Comparison, name: str) -> list[Run]:
    """Launch the runs of a comparison under one name, after checking all of them.

    Raises:
        Refusal: If any run is invalid; then none is started.
    """
    comparison.check()
    open_sealed_pool(comparison)
    experiments = [e.replace(name=name) for e in comparison.experiments(timed(comparison))]
    return launch_all(experiments, check=False)
