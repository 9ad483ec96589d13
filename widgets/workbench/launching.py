"""The runs of a comparison launched from a page, under one name, none if any is refused.

The same from Python is `qtha_lab.launch`.
"""

from qtha_lab.experiment import Comparison
from qtha_lab.runs import run as runs_
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.contenders import timed


def launch_all(comparison: Comparison, name: str) -> list[Run]:
    """Launch the runs of a comparison under one name, after checking all of them.

    Args:
        comparison: What to launch.
        name: What each run is launched as.

    Raises:
        Refusal: If a run cannot be; then none is started.
    """
    comparison.check()
    experiments = [e.replace(name=name) for e in comparison.experiments(timed(comparison))]
    return [runs_.launch(experiment, check=False) for experiment in experiments]
