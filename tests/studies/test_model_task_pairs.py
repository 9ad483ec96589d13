"""A comparison over models and tasks, matched and tuned.

What is planned, what is refused, and what is said of it.
"""

import itertools
import json
import re
import shlex

import numpy as np
import pytest
from support.command_line import call, headings
from support.refusals import refused
from support.run_folders import finish, write

from qtha_lab.cli.compare import print_comparison
from qtha_lab.cli.flags import combine
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Training, Tuning
from qtha_lab.experiment.description import ModelTask
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import RunDir, write_json
from qtha_lab.runs.run import Run
from qtha_lab.studies import comparison
from qtha_lab.studies.comparison import notes
from qtha_lab.studies.comparison.claims import against_the_first
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.contenders import contender_records, timed
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.protocol import protocol_sentences
from qtha_lab.studies.comparison.results_of_runs import summarise_runs
from qtha_lab.studies.comparison.table import numbers, rows
from qtha_lab.studies.comparison.tuned_methods import first_trials, folder_of, winner
from qtha_lab.studies.comparison.tuning import at_their_best, repeats_of
from qtha_lab.studies.sweep import TrialRecord

RATES = {"learning_rate": [0.003, 0.01, 0.03]}
TUNING = Tuning(axes=RATES, seeds=[7, 8])
GRID = Comparison(
    methods="lora(r=2),qtha(r=4)",
    models=["tiny", "minilm"],
    tasks=["qa", "chat(turns=2)"],
    seeds=[0, 1],
    matching="equal_seconds",
    tuning=TUNING,
)
TINY = {
    "steps": 2,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 8,
    "eval_every": 2,
    "checkpoint_every": 2,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


# ---- the description ----


def test_every_form_of_a_grid_reads_back_as_the_same():
    assert Comparison.from_yaml(GRID.to_yaml()) == GRID
    assert Comparison(**GRID.model_dump()) == GRID
    assert GRID.to_yaml().startswith("models:\n- tiny\n- minilm\ntasks:\n- qa\n- chat(turns=2)\n")
    scope: dict = {}
    exec(GRID.to_python().rsplit("\n", 2)[0], scope)
    assert scope["comparison"] == GRID
    words = shlex.split(GRID.to_command())
    assert words[:2] == ["qtha-lab", "compare"]
    assert words[words.index("--tuning-seeds") + 1] == "7,8"


def test_a_command_with_the_flags_of_a_grid_is_the_same_grid(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        comparison, "run_comparison", lambda described, *_, **__: seen.append(described) or 1 / 0
    )
    call(*shlex.split(GRID.to_command())[1:], "--out", str(tmp_path))
    assert seen == [GRID]


def test_a_flag_for_one_model_takes_the_place_of_the_several_in_a_file():
    file = {"models": ["tiny", "minilm"], "tuning": {"axes": RATES}}
    fields = combine(file, {"model": "tiny", "tuning_trials": 2}, Training, "tuning")
    assert fields == {"model": "tiny", "tuning": {"axes": RATES, "trials": 2}, "training": {}}
    assert combine({"model": "tiny"}, {"models": ["a", "b"]}, Training)["models"] == ["a", "b"]


def test_a_list_of_one_is_that_one_and_old_files_read_as_before():
    one = Comparison(models=["minilm"], tasks="chat(turns=2)")
    assert one == Comparison(model="minilm", task="chat", task_options={"turns": 2})
    assert one.model_tasks == [ModelTask("minilm", "chat", "turns=2")]
    assert Comparison.from_yaml("model: tiny\ntask: qa\nmethods: [lora]\n").model_tasks == [
        ModelTask("tiny", "qa")
    ]
    assert "models" not in one.to_yaml()
    assert one.replace(models=["a", "b"]).replace(model="minilm") == one


def test_trials_are_neither_tested_nor_asked_and_the_runs_of_their_winner_are():
    comparison = GRID.replace(training=TINY | {"generate_rows": 3, "spectrum_every": 2})
    contender = comparison.contenders()[0].replace(point={"learning_rate": 0.01})
    trial = comparison.sweep_of(contender).training
    assert (trial.test_rows, trial.generate_rows, trial.spectrum_every) == (0, 0, 0)
    assert trial.replace(test_rows=8, generate_rows=3, spectrum_every=2) == comparison.training
    (run,) = comparison.experiments_of(contender, [0])
    assert run.training == comparison.training
    assert run.method.learning_rate == 0.01


def test_a_folder_of_trials_made_before_trials_were_untested_is_found_again(tmp_path):
    axes = {"learning_rate": "1e-3..1e-1 log 3"}
    comparison = Comparison(methods="lora,qtha", tuning={"axes": axes}, seeds=[0, 1])
    folders = [folder_of(comparison, each, tmp_path).name for each in comparison.contenders()]
    # printed by `folder_of` at commit 58a1e0fc
    assert folders == ["tiny-qa-lora-4f9eb4ea", "tiny-qa-qtha-ce9a1055"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "minilm", "models": ["tiny", "x"]}, "model must be empty with models=tiny,x, got minilm"),
        ({"tasks": ["qa", "qa"]}, "Names must differ, got qa twice"),
        ({"tasks": ["chat", "qa"], "task_options": {"turns": 2}}, r"Write them beside the name, such as chat\(turns=2\)"),
        ({"tuning": {"seeds": [0, 5]}}, "tuning.seeds must differ from the comparison's, got 0 in both"),
        ({"tuning": {"axes": RATES}, "learning_rates": [0.1]}, "learning_rates must be empty with tuning"),
        ({"tuning": {"axes": {**RATES, "qtha.r": [2, 4]}}}, "got 3 for lora and 6 for qtha. Set trials=3"),
        ({"tuning": {"search": "tpe"}}, "trials must be given with search=tpe"),
        ({"tuning": {"axes": {"lr": [1]}}}, "Unknown axis 'lr'"),
        ({"tuning": {"axes": {"model": ["tiny", "minilm"]}}}, "tuning.axes must not hold model, which is equal for all methods"),
        ({"tuning": {"axes": {"eval_rows": [8, 16]}}}, "tuning.axes must not hold eval_rows"),
        ({"tuning": {"axes": {"r": [2, 4]}}, "matching": "equal_r"}, "tuning.axes must not hold r with matching=equal_r, which sets it"),
        ({"tuning": {"axes": {"qtha.waist": [8], **RATES}}, "matching": "equal_parameters"}, "tuning.axes must not hold qtha.waist"),
        ({"tuning": {"axes": {"steps": [8, 9]}}, "matching": "equal_seconds"}, "matching=equal_seconds, which sets the steps"),
        ({"training": {"test_rows": 0}}, "test_rows must be at least 1 in a comparison, got 0"),
        ({"rounding_seed": 10}, "rounding must be at least 5 with rounding_seed=10, got 0"),
    ],
)  # fmt: skip
def test_what_no_grid_can_be_is_refused_in_a_sentence(fields, sentence):
    with pytest.raises(Refusal, match=sentence):
        Comparison(**fields)


def test_all_cells_of_a_seed_stand_together_and_all_methods_of_a_cell():
    plain = GRID.replace(matching="as_given", tuning=None)
    order = [(e.seed, str(e.model_task), e.method.name) for e in plain.experiments()]
    assert order[:4] == [
        (0, "tiny, qa", "lora"), (0, "tiny, qa", "qtha"),
        (0, "tiny, chat(turns=2)", "lora"), (0, "tiny, chat(turns=2)", "qtha"),
    ]  # fmt: skip
    assert [seed for seed, *_ in order] == [0] * 8 + [1] * 8
    moved = plain.replace(rounding=5).perturbed(plain.experiments())
    assert (len(moved), {e.seed for e in moved}) == (5 * 4 * 2, {0})
    moved = plain.replace(rounding=5, rounding_seed=10).perturbed(plain.experiments())
    assert (len(moved), {e.seed for e in moved}) == (5 * 4 * 2, {10})
    assert len(plain.typical()) == 8


# ---- matching ----


def sizes(methods):
    compared = Comparison(methods=methods, matching="equal_parameters")
    return {
        contender.choice.label: resolve(experiment).layout.trainable
        for contender in compared.contenders()
        for experiment in compared.experiments_of(contender, [0])
    }


def test_equal_parameters_comes_as_near_as_it_can_from_below():
    # six blocks of q (192 → 192) and v (192 → 64): r (384 + 256) 6 of lora; dora also trains 192 +
    # 64 magnitudes a block
    assert sizes("lora(r=4),dora,loha") == {
        "lora(r=4)": 6 * 4 * 640,
        "dora(r=3)": 6 * (3 * 640 + 256),
        "loha(r=2)": 6 * 2 * 2 * 640,  # two pairs of matrices
    }


def test_a_method_whose_size_falls_with_r_is_matched_too():
    budget, size = sizes("lora(r=4),randlora").values()
    assert 0.8 * budget < size <= budget


def test_qtha_is_matched_in_r_waist_and_bond_dimension_and_what_is_stated_stays():
    matched = sizes("lora(r=2),qtha(r=4)")
    (label,) = [name for name in matched if name.startswith("qtha(r=4,")]
    assert 0.9 * 7680 < matched[label] <= 7680


@pytest.mark.parametrize(
    ("methods", "rule", "sentence"),
    [
        ("lora(r=1),ia3", "equal_parameters", "got 1,536 for ia3 .*has no setting for its size"),
        ("ia3,lora", "equal_parameters", "The number of trained parameters must be at least 3,840, got 1,536"),
        ("lora,lora(r=2)", "equal_parameters", "the first states r"),
        ("lora(r=4),qtha(r=2)", "equal_r", r"R of qtha\(r=2\) must be empty or 4 with matching=equal_r, as for lora\(r=4\)"),
        ("lora,ia3", "equal_r", "matching=equal_r must have methods with an r, got ia3"),
    ],
)  # fmt: skip
def test_a_budget_that_nothing_can_meet_is_refused(methods, rule, sentence):
    with pytest.raises(Refusal, match=sentence):
        Comparison(methods=methods, matching=rule).check()


def test_equal_r_takes_the_r_of_the_first_and_the_scale_follows():
    compared = Comparison(methods="lora(r=4),qtha,dora", matching="equal_r")
    labels = [contender.method.label for contender in compared.contenders()]
    assert labels == [
        "lora(r=4,lora_alpha=8)",
        "qtha(r=4,waist=32,bond_dim=2,n_layers=2)",
        "dora(r=4,lora_alpha=8)",
    ]


def test_equal_seconds_are_measured_once_and_kept(tmp_path):
    pace = {"lora": 0.1, "qtha": 0.25, "dora": 0.2}
    asked = []

    def seconds(experiment):
        asked.append(experiment.method.name)
        return pace[experiment.method.name]

    compared = Comparison(methods="lora,qtha", matching="equal_seconds", training={"steps": 100})
    steps = [e.training.steps for e in timed(compared, tmp_path, seconds)]
    assert steps == [100, 40]  # 10 s of lora hold 40 steps of 0.25 s
    pace.update(lora=1.0, qtha=1.0)
    more = compared.replace(methods=[*compared.methods, "dora"], seeds=[0, 1])
    contenders = timed(more, tmp_path, seconds)
    assert [e.training.steps for e in contenders] == [100, 40, 50]
    assert asked == ["lora", "qtha", "dora"]
    assert [e.training.steps for e in more.experiments(contenders)] == [100, 40, 50] * 2
    with refused("A step of qtha", "11 s"):
        timed(compared, None, lambda e: 0.1 if e.method.name == "lora" else 11.0)


# ---- tuning ----


def trial(number, value, state="complete", rate=0.01):
    return TrialRecord("lora", number, state, {"learning_rate": rate}, value, [])


def test_the_winner_is_the_best_of_as_many_trials_as_every_method_has():
    sweep = GRID.sweep_of(GRID.contenders()[0])
    assert sweep.seeds == [7, 8]
    tried = [
        trial(0, 4.0, rate=0.003),
        trial(1, float("inf")),
        trial(2, None, "failed"),
        trial(3, 1.0),
    ]

    counted = first_trials(sweep, tried[::-1])
    assert [record.number for record in counted] == [0, 1, 2]  # of a longer search, three
    assert winner(sweep, counted).point == {"learning_rate": 0.003}
    with refused("No loss", rule="finite in 2 tuning trials"):
        winner(sweep, tried[1:3])


def test_trials_go_on_in_their_folder_whatever_is_added_beside_them(tmp_path):
    def folder(compared):
        return folder_of(compared, compared.contenders()[0], tmp_path)

    wider = TUNING.replace(axes={"learning_rate": [0.003, 0.01, 0.03, 0.1]}, trials=4)
    more = GRID.replace(
        tuning=wider, methods=[*GRID.methods, "dora"], seeds=[0, 1, 2], tasks=["qa", "chat"]
    )
    assert folder(more) == folder(GRID)
    assert folder(GRID.replace(training={"steps": 7})) != folder(GRID)
    assert folder(GRID.replace(tuning=TUNING.replace(seeds=[9]))) != folder(GRID)


def test_a_winner_is_confirmed_on_the_seeds_of_the_comparison_at_its_point():
    contender = GRID.contenders()[0].replace(point={"learning_rate": 0.03})
    experiments = GRID.experiments([contender])
    assert [(e.seed, e.method.label) for e in experiments] == [
        (0, "lora(r=2,lora_alpha=4,learning_rate=0.03)"),
        (1, "lora(r=2,lora_alpha=4,learning_rate=0.03)"),
    ]


# ---- what is said of it ----


def entry(task, method, seed, loss, rate=0.01, parameters=100):
    return {
        "run_id": f"{task} {method} {seed} {rate}",
        "model": "tiny",
        "task": task,
        "task_options": {},
        "label": method,
        "method": method,
        "options": {},
        "seed": seed,
        "state": "finished",
        "learning_rate": rate,
        "eval_loss": loss,
        "test_loss": loss,
        "trainable_parameters": parameters,
        "eval_loss_start": 6.0 if task == "qa" else 5.0,
    }


def two_cells():
    """dora is worse on qa and cannot be told on chat."""
    runs = [entry(task, "lora", s, 2.0 + s / 100) for task in ("qa", "chat") for s in range(4)]
    runs += [entry("qa", "dora", s, 2.2 + s / 100 + s % 2 / 1000) for s in range(4)]
    return runs + [entry("chat", "dora", s, 2.0 + s / 100 + (-1) ** s / 10) for s in range(4)]


def test_claims_of_all_cells_are_one_family():
    alone = against_the_first([e for e in two_cells() if e["task"] == "qa"])
    both = against_the_first(two_cells())
    assert [str(claim.model_task) for claim in both] == ["tiny, qa", "tiny, chat"]
    assert alone[0].difference.level == 0.05
    assert {claim.difference.level for claim in both} == {0.025}
    assert both[0].difference.p == pytest.approx(2 * alone[0].difference.p)  # Bonferroni
    assert "dora − lora, test loss on tiny, qa: +0.2" in both[0].sentence
    assert " on " not in alone[0].sentence
    assert [claim.difference.is_shown for claim in both] == [True, False]
    assert both[1].plain()["task"] == "chat"


def test_a_rate_is_chosen_in_each_cell():
    runs = [entry("qa", "lora", 0, 2.0, 0.01), entry("qa", "lora", 0, 3.0, 0.03)]
    runs += [entry("chat", "lora", 0, 3.0, 0.01), entry("chat", "lora", 0, 2.0, 0.03)]
    best = [*at_their_best(runs)[["task", "learning_rate"]].itertuples(index=False, name=None)]
    assert best == [("qa", 0.01), ("chat", 0.03)]


def test_repeats_are_grouped_by_method_and_pair():
    repeats = [entry(task, "lora", 0, k / 100) for task in ("qa", "chat") for k in range(5)]
    assert repeats_of(repeats, []).keys() == {"lora on tiny, qa", "lora on tiny, chat"}
    assert repeats_of(repeats[:5], []).keys() == {"lora"}
    assert repeats_of(repeats[:5], two_cells()).keys() == {"lora on tiny, qa"}


def summary(compared=None, entries=None):
    compared = compared or Comparison(methods="lora,dora", tasks="qa,chat", seeds=[0, 1, 2, 3])
    entries = two_cells() if entries is None else entries
    contenders = contender_records(compared, compared.contenders())
    return {
        "comparison": compared.model_dump(), "contenders": contenders, "runs": entries,
        "claims": [claim.plain() for claim in against_the_first(entries)],
    }  # fmt: skip


def crossed(summary):
    pivot_table = PivotTable.of(summary)
    assert pivot_table is not None
    return pivot_table


def test_one_table_crosses_methods_and_cells():
    pivot_table = crossed(summary())
    heading, row = pivot_table.rows()
    assert heading == ("method", "tiny, qa", "tiny, chat")
    assert re.fullmatch(r"\+0\.20. \[\+0\.\d+, \+0\.\d+\] shown", row[1])
    assert row[2].endswith("] inconclusive")
    assert pivot_table.counts() == [
        "dora against lora: shown to be lower on 0 of 2, higher on 1, equivalent on 0, inconclusive"
        " on 1."
    ]
    assert PivotTable.of(summary(Comparison(methods="lora,dora"))) is None
    few = crossed(summary(entries=[e for e in two_cells() if e["seed"] < 2]))
    assert few.rows()[1] == ("dora", "no interval", "no interval")


def test_a_row_of_the_table_says_where_it_is_and_whether_it_was_tuned():
    table = rows(summary())
    assert [(row["task"], row["method"], row["tuning"]) for row in table] == [
        ("qa", "lora", "not tuned"),
        ("chat", "lora", "not tuned"),
        ("qa", "dora", "not tuned"),
        ("chat", "dora", "not tuned"),
    ]
    assert "model" not in table[0]
    assert [row["task"] for row in numbers(summary())] == ["qa", "chat", "qa", "chat"]
    tuned = Comparison(methods="lora,dora", tasks="qa,chat", tuning={"seeds": [9]})
    assert {row["tuning"] for row in rows(summary(tuned))} == {"tuned"}
    by_rate = [entry("qa", "lora", 0, 2.0, rate) for rate in (0.01, 0.03)]
    assert rows(summary(Comparison(methods="lora"), by_rate))[0]["tuning"] == "2 rates"


def test_a_rule_is_stated_with_what_came_out_of_it():
    compared = Comparison(methods="lora,dora", matching="equal_seconds")
    contenders = [
        e.replace(training=Training(steps=n))
        for e, n in zip(compared.contenders(), (100, 40), strict=True)
    ]
    (sentences,) = protocol_sentences(
        compared, contender_records(compared, contenders), []
    ).values()
    assert sentences == [
        "Matched by training seconds, as the steps that fit into those of the first: lora 100"
        " steps, dora 40 steps."
    ]


def test_tuning_is_told_with_its_winners_and_the_ends_of_what_was_tried():
    compared = Comparison(methods="lora,qtha", tuning={"axes": RATES, "seeds": [7]})
    rates = (0.01, 0.03)
    contenders = [
        e.replace(point={"learning_rate": r})
        for e, r in zip(compared.contenders(), rates, strict=True)
    ]
    (sentences,) = protocol_sentences(
        compared, contender_records(compared, contenders), two_cells()[:2]
    ).values()
    assert sentences == [
        "Tuned by 3 trials of each method over learning_rate (grid), on evaluation rows with seed"
        " 7, and confirmed on others: lora at learning_rate=0.01; qtha at learning_rate=0.03. At an"
        " end of what was tried, so perhaps not the best: qtha (learning_rate)."
    ]


def test_a_winner_within_the_noise_of_its_trials_is_told_in_the_notes():
    compared = Comparison(methods="lora,qtha", tuning={"axes": RATES})
    best, near, far = [2.0, 2.1, 2.2], [2.1, 2.0, 2.3], [2.5, 2.6, 2.8]
    contenders = [
        e.replace(point={"learning_rate": 0.01},
                  tried={"learning_rate=0.01": best, "learning_rate=0.03": other})
        for e, other in zip(compared.contenders(), (near, far), strict=True)
    ]  # fmt: skip
    records = contender_records(compared, contenders)
    (sentences,) = protocol_sentences(compared, records, two_cells()[:2]).values()
    tuned, *within_noise = sentences
    assert tuned.startswith("Tuned by 3 trials of each method over learning_rate")
    (sentence,) = within_noise
    assert sentence.startswith("lora at learning_rate=0.03 is as good as at learning_rate=0.01 ")
    assert "3 trial seeds" in sentence
    earlier = [{k: v for k, v in record.items() if k != "tried"} for record in records]
    (sentences,) = protocol_sentences(compared, earlier, two_cells()[:2]).values()
    assert sentences == [tuned]


def test_a_comparison_without_tuning_is_called_so_in_its_notes():
    said = notes.notes(two_cells(), 16)
    assert (
        sum(note.startswith("Not tuned: no setting was chosen among several") for note in said) == 1
    )
    assert "All methods of a seed started from the same evaluation loss (exactly)." in said


def test_what_holds_in_one_cell_alone_is_said_of_it():
    runs = [entry("qa", "lora", 0, 2.0), entry("qa", "qtha", 0, 2.0, parameters=50)]
    runs += [entry("chat", "lora", 0, 2.0), entry("chat", "qtha", 0, 2.0, parameters=200)]
    said = notes.notes(runs, 4)
    assert "tiny, qa: qtha trains 50 parameters, 50% fewer than lora (100)." in said
    assert "tiny, chat: qtha trains 200 parameters, 100% more than lora (100)." in said


# ---- the report ----


def reported(folder):
    compared = Comparison(methods="lora(r=2),qtha", tasks="qa,chat", seeds=[0, 1, 2])
    finished = []
    for number, experiment in enumerate(compared.experiments()):
        run = Run(RunDir.create(experiment, folder / "runs").path)
        write(run, {"kind": "eval", "step": 0, "loss": 6.0})
        loss = 4.0 + (experiment.method.name == "qtha") / 5 + number / 1000
        finish(
            run,
            task=experiment.task,
            eval_loss=loss,
            test_loss=loss,
            eval_loss_start=6.0,
            seconds_per_step=0.1,
        )
        finished.append(run)
    (folder / "comparison.yaml").write_text(compared.to_yaml())
    write_json(folder / "summary.json", summarise_runs(compared, finished))
    return comparison.report(folder)


def test_the_report_has_a_section_for_each_cell_and_one_table_across(tmp_path):
    report = reported(tmp_path)
    assert [section.name for section in report.findings] == [
        "verdicts",
        "across",
        "cell-1",
        "cell-2",
        "measured",
    ]
    assert report.title == "2 methods on tiny with qa, chat"
    assert [section.title for section in report.findings[2:4]] == ["tiny, qa", "tiny, chat"]
    across, pooled = report["across"].tables.values()
    assert [row[:3] for row in pooled.rows] == [("qtha", "lora(r=2)", 2)]
    assert across.columns == ("method", "tiny, qa", "tiny, chat")
    assert len(across.rows) == 1
    parts = [part.name for part in report["cell-2"].parts]
    assert parts[:2] == ["cell-2-rates", "cell-2-differences"]
    assert any(sentence.startswith("Not tuned") for sentence in report["cell-1"].sentences)
    page = (tmp_path / "report.html").read_text()
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert len(set(re.findall(r'<section id="([^"]+)"', page))) == 5 + 2 * len(parts)
    data = json.loads((tmp_path / "report.json").read_text())
    assert len(data["claims"]) == 2
    assert len(data["sections"][2]["parts"]) == len(parts)


def test_the_terminal_has_a_table_for_each_cell_and_the_verdicts_below(tmp_path, capsys):
    report = reported(tmp_path)
    print_comparison(Compared.of(tmp_path), report["verdicts"].sentences)
    qa, chat = capsys.readouterr().out.partition("tiny, chat:\n")[::2]
    title, table = qa.split("\n", 1)
    assert title == "tiny, qa:"
    assert len(headings(table)) == 7
    assert headings(table) == headings(chat)
    below = " ".join(chat.partition("└")[2].split())
    assert report["verdicts"].sentences[0] in below.partition(" Notes: ")[0]


# ---- in truth ----


@pytest.mark.slow
def test_a_tuned_grid_goes_on_with_more_seeds_methods_and_trials_and_repeats_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "slots"))
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    tuning = Tuning(axes={"learning_rate": [0.003, 0.01]}, seeds=[9])
    compared = Comparison(methods="lora(r=2)", seeds=[0], training=TINY, tuning=tuning)
    out = tmp_path / "out"
    first = comparison.run_comparison(compared, out)
    (record,), (entry,) = first["contenders"], first["runs"]
    assert record["point"] == {"learning_rate": entry["learning_rate"]}
    assert record["trials"].index(min(record["trials"])) == [0.003, 0.01].index(
        entry["learning_rate"]
    )
    assert [*record["tried"].values()] == [[loss] for loss in record["trials"]]
    before = {path: path.stat().st_mtime_ns for path in out.glob("**/runs/*/summary.json")}
    assert len(before) == 3  # two trials, and the winner on a fresh seed
    wider = tuning.replace(axes={"learning_rate": [0.003, 0.01, 0.03]})
    more = compared.replace(seeds=[0, 1], methods=["lora(r=2)", "lora(r=3)"], tuning=wider)
    second = comparison.run_comparison(more, out)
    assert [len(record["trials"]) for record in second["contenders"]] == [3, 3]
    assert second["contenders"][0]["trials"][:2] == record["trials"]
    assert [e["state"] for e in second["runs"]] == ["finished"] * 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len([*out.glob("tuning/*/runs/*/summary.json")]) == 2 * 3  # none was tried twice
    assert np.isfinite([e["test_loss"] for e in second["runs"]]).all()
