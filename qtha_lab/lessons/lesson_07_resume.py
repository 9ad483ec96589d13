"""Exercise of lesson 7: a run that was killed and resumed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import exercise

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run

PAIR = Path(__file__).with_name("recorded") / "interrupted"
FIRST, LAST = 20, 40  # steps between which the run is killed
FAULTS = {
    "runs": "a tuple of two finished runs is expected, as (whole, killed)",
    "same": "both are the same folder, which has its own losses in any case",
    "experiments": "the two runs are different experiments, so their losses may differ",
    "whole": "the first run was interrupted; the uninterrupted run comes first",
    "killed": "the second run was not killed, or not between steps 20 and 40",
    "losses": "their losses differ: was a checkpoint or the machine changed?",
}


def recorded_pair() -> "tuple[Run, Run]":
    """Return a recorded run without interruption, and one that was killed and resumed.

    Example:
        >>> [len(interruptions(run)) for run in recorded_pair()]
        [0, 1]
    """
    from qtha_lab.runs.run import Run

    whole, killed = sorted(map(Run, sorted(PAIR.iterdir())), key=lambda r: len(interruptions(r)))
    return whole, killed


def interruptions(run: "Run") -> list[int]:
    """Return the steps at which a run was resumed."""
    started = [e for e in run.events()[0] if e["kind"] == "status" and e["message"] == "starting"]
    return [event["step"] for event in started[1:]]


def training_losses(run: "Run") -> list[float]:
    """Return the training loss of every step of a run, in nats."""
    return [event["loss"] for event in run.valid_events() if event["kind"] == "train"]


def _pair(answer: Any) -> "tuple[Run, Run]":
    from qtha_lab.runs.run import Run

    first, second = (run if isinstance(run, Run) else Run(Path(run)) for run in answer)
    return first, second


def _has_ended(answer: Any) -> bool:
    return all(run.state == "finished" and training_losses(run) for run in _pair(answer))


def _differ(answer: Any) -> bool:
    first, second = _pair(answer)
    return first.path.resolve() != second.path.resolve()


def _is_one_experiment(answer: Any) -> bool:
    first, second = _pair(answer)
    return first.experiment == second.experiment


def _is_killed(answer: Any) -> bool:
    steps = interruptions(_pair(answer)[1])
    return len(steps) > 0 and all(FIRST <= step <= LAST for step in steps)


def _agree(answer: Any) -> bool:
    first, second = map(training_losses, _pair(answer))
    return first == second


exercise(
    "7.5",
    "Killed and resumed",
    difficulty=2,
    minutes=10,
    kind="X",
    answer="two_runs",
    hints=(
        "Launch the run, and poll run.status().step until it is above 20.",
        "run.stop(soft_seconds=0, term_seconds=0) kills its worker without a last checkpoint.",
        "run.resume() goes on from the last whole checkpoint, and run.wait() waits for the end.",
    ),
    solution="two_runs = recorded_pair()",
    mistakes=(
        ("two_runs = recorded_pair()[0]", FAULTS["runs"]),
        ("two_runs = (recorded_pair()[1],) * 2", FAULTS["same"]),
        ("two_runs = recorded_pair()[::-1]", FAULTS["whole"]),
        (
            "from qtha_lab.core.paths import data_dir\n"
            "other = sorted((data_dir() / 'runs').glob('2*'))[0]\n"
            "two_runs = (recorded_pair()[0], other)",
            FAULTS["experiments"],
        ),
    ),
    setup="from qtha_lab.lessons.lesson_07_resume import recorded_pair",
    grader=Construction(
        (
            (_has_ended, FAULTS["runs"]),
            (_differ, FAULTS["same"]),
            (_is_one_experiment, FAULTS["experiments"]),
            (lambda answer: not interruptions(_pair(answer)[0]), FAULTS["whole"]),
            (_is_killed, FAULTS["killed"]),
            (_agree, FAULTS["losses"]),
        )
    ),
    remark="A checkpoint holds weights, optimiser, schedule, order of rows and random numbers.",
)
