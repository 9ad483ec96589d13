"""Exercise of lesson 9: a plan that is older than its runs."""

from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import exercise

FAULTS = {
    "triple": "a plan, its runs and a verdict are expected, as (plan, runs, 'inconclusive')",
    "older": "a run is older than the plan: a plan is written first",
    "missing": "the runs are not those of the plan: both methods, each with every seed",
    "verdict": "the plan gives another verdict: report what came out, with its word",
}
VERDICTS = ("shown", "equivalent", "inconclusive")


def _is_triple(answer: Any) -> bool:
    from qtha_lab.lessons.preregistration import StudyPlan

    plan, runs, verdict = answer
    return isinstance(plan, StudyPlan) and len(list(runs)) > 0 and verdict in VERDICTS


def _refusal(answer: Any) -> str:
    from qtha_lab.lessons.preregistration import outcome

    try:
        outcome(answer[0], answer[1])
    except Refusal as refused:
        return str(refused)
    return ""


def _has_verdict(answer: Any) -> bool:
    from qtha_lab.lessons.preregistration import outcome

    return outcome(answer[0], answer[1]).verdict == answer[2]


SETUP = """
from qtha_lab.core.paths import data_dir
from qtha_lab.lessons.preregistration import StudyPlan, outcome
from qtha_lab.runs.run import Run

shipped = [Run(path) for path in sorted((data_dir() / "runs").glob("2*"))]
example = StudyPlan(
    question="Does QTHA end lower than LoRA?",
    first="qtha(r=4,waist=32,bond_dim=2,n_layers=2)",
    second="lora(r=1,lora_alpha=2)",
    seeds=3,
    written="20261129-000000",
)
""".strip()

exercise(
    "9.5",
    "A question, planned and answered",
    difficulty=2,
    minutes=20,
    kind="X",
    answer="registered",
    hints=(
        "Write the plan with preregister before you launch anything.",
        "Launch both methods with each seed of the plan, at few steps; wait for all.",
        "outcome(plan, runs).verdict is the word that the plan asks for.",
    ),
    solution="registered = (example, shipped, outcome(example, shipped).verdict)",
    mistakes=(
        ("registered = 'inconclusive'", FAULTS["triple"]),
        (
            "from dataclasses import replace\n"
            "registered = (replace(example, written='20270101-000000'), shipped, 'inconclusive')",
            FAULTS["older"],
        ),
        (
            "from dataclasses import replace\n"
            "registered = (replace(example, seeds=4), shipped, 'inconclusive')",
            FAULTS["missing"],
        ),
        (
            "found = outcome(example, shipped).verdict\n"
            "registered = (example, shipped, 'shown' if found != 'shown' else 'inconclusive')",
            FAULTS["verdict"],
        ),
    ),
    setup=SETUP,
    grader=Construction(
        (
            (_is_triple, FAULTS["triple"]),
            (lambda answer: "newer than its plan" not in _refusal(answer), FAULTS["older"]),
            (lambda answer: not _refusal(answer), FAULTS["missing"]),
            (_has_verdict, FAULTS["verdict"]),
        )
    ),
    remark="A dull outcome is an outcome. The plan is why others believe it.",
)
