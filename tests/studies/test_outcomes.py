"""Runs without a result: named first in every view, and a limit of every claim."""

import pytest
from support.run_folders import finish, run_folder, status, two_steps, write

from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.runs.run import list_runs
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import report as write_report
from qtha_lab.studies.comparison import summarise_runs
from qtha_lab.studies.comparison.claims import against_the_first
from qtha_lab.studies.comparison.explain import explain
from qtha_lab.studies.comparison.outcomes import lost, outcomes
from qtha_lab.studies.comparison.pooled import pool
from qtha_lab.studies.comparison.tuning import at_their_best
from widgets.workbench.verdict import VerdictPane

LOSSES = {"lora": [4.10, 4.11, 4.12, 4.13], "qtha": [4.30, 4.31, None, 4.33]}
DIVERGED = "1 of 4 runs of qtha diverged (seed 2)"


def entry(method, seed, loss, state="finished", rate=0.01):
    return {
        "run_id": f"{method} {seed} {rate}", "label": f"{method} at {rate}", "method": method,
        "options": {}, "seed": seed, "state": state, "learning_rate": rate, "eval_loss": loss,
        "test_loss": loss, "trainable_parameters": 10, "model": "tiny", "task": "qa",
    }  # fmt: skip


def launched(folder, losses, state="diverged", message="the loss is nan at step 2"):
    """Write the runs of methods by seed; None is a run that ends in another state."""
    for seed in range(len(next(iter(losses.values())))):
        for method, by_seed in losses.items():
            run = run_folder(folder, method, seed, steps=2)
            two_steps(run)
            if by_seed[seed] is not None:
                finish(run, eval_loss=by_seed[seed], test_loss=by_seed[seed])
            elif state == "diverged":
                finish(run, state, eval_loss=None)
            else:
                write(run, status(state, 1) | {"message": message})
    return list_runs(folder)


def first_sentences(folder, losses, **how):
    """Return the first sentence and the verdict of each view: words, table, report, page."""
    runs = launched(folder / "runs", losses, **how)
    comparison = Comparison(methods="lora,qtha", seeds=[0, 1, 2, 3], training={"steps": 2})
    summary = summarise_runs(comparison, explain(runs) and [*reversed(runs)])
    (folder / "comparison.yaml").write_text(comparison.to_yaml())
    write_json(folder / "summary.json", summary)
    report = write_report(folder)
    page = VerdictPane(print)
    page.renew_now(runs)
    found = explain([folder])
    first = {
        "explain": found.sentences[0], "compare": summary["notes"][0],
        "report": report["verdicts"].sentences[0], "page": page.sentence,
    }  # fmt: skip
    verdicts = {
        "explain": [claim.difference.verdict for claim in found.claims],
        "compare": [claim["verdict"] for claim in summary["claims"]],
        "report": ["inconclusive" in text for text in report["verdicts"].sentences if "−" in text],
        "page": [text for text in page.explained.sentences if ": shown" in text],
    }
    return first, verdicts


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("diverged", "1 of 4 runs of qtha diverged (seed 2)"),
        ("failed", "1 of 4 runs of qtha failed (seed 2): no file of that name"),
        ("stopped", "1 of 4 runs of qtha was stopped (seed 2): at step 1 of 2"),
    ],
)
def test_a_run_without_a_result_stands_first_in_every_view_and_nothing_is_shown(
    tmp_path, state, words
):
    message = {"failed": "no file of that name", "stopped": "stopped at step 1 of 2"}.get(state, "")
    first, verdicts = first_sentences(tmp_path, LOSSES, state=state, message=message)
    assert set(first.values()) == {f"{words}."}
    assert verdicts == {
        "explain": ["inconclusive"],
        "compare": ["inconclusive"],
        "report": [True],
        "page": [],
    }


def test_the_same_runs_are_shown_where_every_seed_has_a_result(tmp_path):
    whole = LOSSES | {"qtha": [4.30, 4.31, 4.32, 4.33]}
    launched(tmp_path, whole)
    found = explain([tmp_path])
    assert [claim.difference.verdict for claim in found.claims] == ["shown"]


def test_a_method_whose_runs_all_diverged_has_no_unfinished_seed(tmp_path):
    launched(tmp_path, LOSSES | {"qtha": [None] * 4})
    found = explain([tmp_path])
    assert found.sentences[0] == "4 of 4 runs of qtha diverged (seeds 0, 1, 2, 3)."
    assert found.sentences[1] == "qtha against lora: inconclusive, no seed has a result of both."
    step = found.next_steps[0]
    assert step.label == "try lower rates for qtha: 8 runs"
    assert step.comparison.learning_rates == [0.001, 0.003]


def test_a_divergence_at_another_rate_is_stated_and_limits_no_claim():
    runs = [entry("lora", s, 2.0 + s / 100) for s in range(3)]
    runs += [entry("qtha", s, 2.5 + s / 100) for s in range(3)]
    runs += [entry("qtha", s, None, "diverged", rate=0.1) for s in range(3)]
    (claim,) = against_the_first(runs)
    assert claim.difference.verdict == "shown"
    assert lost(results_frame(runs), at_their_best(runs)) == 0
    assert outcomes(runs) == ["3 of 3 runs of qtha at 0.1 diverged (seeds 0, 1, 2)."]


def test_a_run_that_was_repeated_with_a_result_is_not_lost():
    runs = [entry("lora", s, 2.0 + s / 100) for s in range(3)]
    runs += [entry("qtha", 1, None, "dead")]
    runs += [entry("qtha", s, 2.5 + s / 100) for s in range(3)]
    (claim,) = against_the_first(runs)
    assert (claim.difference.lost, claim.difference.verdict, outcomes(runs)) == (0, "shown", [])


def test_a_pooled_claim_over_a_lost_run_is_inconclusive():
    errors = {"seed_error": 0.001, "row_error": 0.0}
    claims = [{"mean": mean} | errors for mean in (0.50, 0.51, 0.52, 0.53)]
    assert pool("qtha", "lora", claims).verdict == "shown"
    assert pool("qtha", "lora", [claims[0] | {"lost": 1}, *claims[1:]]).verdict == "inconclusive"


def test_stopped_runs_come_first_with_the_step_that_resumes_them(tmp_path):
    launched(tmp_path, LOSSES, "stopped", "stopped at step 1 of 2")
    found = explain([tmp_path])
    assert "was stopped" in found.sentences[0]
    assert not any("until the runs finish" in sentence for sentence in found.sentences)
    step = found.next_steps[0]
    assert (step.label, step.comparison) == ("resume 1 run", None)
    assert [run.experiment.seed for run in step.resumed] == [2]
    assert step.command == f"qtha-lab resume {step.resumed[0].path}"


def test_unequal_steps_come_first_with_the_step_that_equals_them(tmp_path):
    launched(tmp_path, {"lora": [4.1, 4.1, 4.1]})
    run = run_folder(tmp_path, "qtha", 0, steps=4)
    two_steps(run)
    finish(run, eval_loss=4.3, test_loss=4.3)
    found = explain([tmp_path])
    assert "are not compared: steps=2 (lora); steps=4 (qtha)." in found.sentences[0]
    assert found.next_steps[0].label == "train qtha with steps=2: 3 runs"
    assert found.next_steps[0].comparison.training.steps == 2


@pytest.mark.parametrize("methods", [("lora", "qtha"), ("qtha", "lora")])
@pytest.mark.parametrize("gap", [0.2, -0.2])
def test_the_sign_of_an_interval_follows_its_sentence(tmp_path, methods, gap):
    first, second = methods
    launched(
        tmp_path,
        {
            first: [4.10, 4.11, 4.12],
            second: [4.10 + gap, 4.111 + gap, 4.12 + gap],
        },
    )
    found = explain([tmp_path])
    lower, higher = (first, second) if gap > 0 else (second, first)
    sentence = found.sentences[0]
    assert sentence.startswith(f"{lower} is lower than {higher} by 0.200 nat in test loss")
    low, high = sentence.split(f" interval of {lower} − {higher} [")[1].split("]")[0].split(", ")
    assert float(low) <= -0.2 <= float(high) < 0


def test_the_reference_is_the_first_method_of_the_launch(tmp_path):
    """Ids of one second sort by the name of the method."""
    launched(tmp_path, {"qtha": [4.1, 4.2, 4.3], "lora": [4.2, 4.1, 4.3]})
    (claim,) = explain([tmp_path]).claims
    assert (claim.first, claim.second) == ("lora", "qtha")
