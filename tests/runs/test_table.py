"""The table of runs: what is in a row, which columns differ, order, seeds as one, and how little is read for it."""

import pytest
from support.refusals import refused
from support.run_folders import make_runs, run_folder, status, train, watched, write

from qtha_lab import runs_table
from qtha_lab.experiment.run_directory import index, record, write_json
from qtha_lab.experiment.run_directory.annotations import annotate
from qtha_lab.runs.run import list_runs
from qtha_lab.runs.table import frame, query
from qtha_lab.runs.table.columns import column_text, differing, present, worth_showing
from qtha_lab.runs.table.frame import as_frame
from qtha_lab.runs.table.listing import Listing


def finished(folder, method, seed, loss, **training):
    run = run_folder(folder, method, seed, **training)
    write(run, status("running", 0), train(1, 5.0), status("finished", 1))
    numbers = {"eval_loss": loss, "trainable_parameters": 7680, "learning_rate": 0.003}
    write_json(
        run.files.summary, {"state": "finished", "steps": 1, "adapter_bytes": 2048, **numbers}
    )
    return run


@pytest.fixture
def folder(tmp_path):
    for seed, loss in ((0, 4.0), (1, 4.6)):
        finished(tmp_path, "lora(r=2)", seed, loss, steps=1)
        finished(tmp_path, "qtha(r=4)", seed, loss + 1, steps=1)
    write(run_folder(tmp_path, "qtha(r=4)", 2, steps=1), status("running", 0))  # its worker is dead
    return tmp_path


def test_a_row_that_is_read_again_is_that_of_a_new_list(folder):
    lora = finished(folder, "lora(r=8)", 3, 4.2, steps=1)
    finished(folder, "qtha(r=4,waist=16)", 3, 4.3, steps=1)
    listing = Listing(folder)
    listing.read()
    assert listing.frame.loc[lora.id, "waist"] is None
    write(lora, status("running", 1))
    annotate(lora.files, note="read again")
    assert listing.renew([lora.id]) == {lora.id}
    again = Listing(folder)
    again.read()
    assert listing.frame.loc[lora.id].to_dict() == again.frame.loc[lora.id].to_dict()


def listed(folder):
    return frame(list_runs(folder, unreadable=True))


def test_a_row_is_who_where_what_was_set_what_came_of_it_and_marks(folder):
    run = list_runs(folder)[-1]
    annotate(run.files, name="my best", add=["best"], note="for the paper", pinned=True)
    row = listed(folder).iloc[-1]
    expected = {
        "run": run.id, "name": "my best", "state": "finished", "step": 1, "origin": "launch",
        "model": "tiny", "task": "qa", "method": "lora", "r": 2, "seed": 0, "steps": 1, "batch_size": 8,
        "learning_rate": 0.003, "eval_loss": 4.0, "trainable_parameters": 7680, "adapter_kib": 2.0,
        "tags": ["best"], "note": "for the paper", "pinned": True,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_an_option_with_the_name_of_another_column_keeps_both(tmp_path):
    run = run_folder(tmp_path, "lora(seed=7)", 3)
    table = frame([run])
    assert (table["seed"][run.id], table["method.seed"][run.id]) == (3, 7)


def test_only_settings_that_differ_are_columns_of_a_first_look(folder):
    table = listed(folder)
    assert {*differing(table)} == {
        "method",
        "r",
        "seed",
        "learning_rate",
    }  # the dead one came to no rate
    shown = worth_showing(table)
    assert shown[:3] == ["run", "state", "method"]
    assert {"r", "seed", "eval_loss"} <= set(shown)
    assert shown.index("eval_loss") < shown.index("r")  # in sight without moving the table
    assert not {"batch_size", "model", "same"} & set(shown)
    assert {"batch_size", "model", "adapter_kib"} <= set(present(table))


def test_runs_that_differ_in_their_seed_only_are_one_row_with_mean_and_range(folder):
    groups = query(listed(folder), group="seeds", sort="eval_loss")
    first, second = groups.to_dict("records")
    assert (first["method"], first["runs"], first["seeds"]) == ("lora", 2, [0, 1])
    assert (first["eval_loss"], first["eval_loss_min"], first["eval_loss_max"]) == (4.3, 4.0, 4.6)
    assert column_text(first, "eval_loss") == "4.300 [4.000–4.600]"
    assert (second["runs"], second["state"]) == (3, "1 dead, 2 finished")
    assert len(second["members"]) == 3


def test_a_filter_and_an_order_name_the_runs(folder):
    frame = runs_table("method = qtha and state = finished", sort="-eval_loss", runs_dir=folder)
    assert list(frame["eval_loss"]) == [5.6, 5.0]
    assert set(frame["r"]) == {4}
    with refused("column", "'eval_lss'", remedy="'eval_loss'"):
        runs_table(sort="eval_lss", runs_dir=folder)
    with refused("group", "'method'"):
        runs_table(group="method", runs_dir=folder)


def test_pinned_runs_come_first_and_the_rest_newest_first(folder):
    oldest = list_runs(folder)[-1]
    annotate(oldest.files, pinned=True)
    names = list(query(listed(folder))["run"])
    assert names[0] == oldest.id
    assert names[1:] == sorted(names[1:], reverse=True)


def test_what_has_no_value_comes_last_in_either_direction():
    table = as_frame([{"x": None}, {"x": 2}, {"x": "text"}, {"x": 1}, {}])
    assert list(query(table, sort="x")["x"]) == [1, 2, "text", None, None]
    assert list(query(table, sort="-x")["x"]) == ["text", 2, 1, None, None]


def test_several_columns_sort_in_their_order():
    table = as_frame([{"r": 2, "seed": 0}, {"r": 8, "seed": 0}, {"r": 2, "seed": 1}, {}])
    pairs = query(table, sort="-seed, r")[["r", "seed"]].to_numpy().tolist()
    assert pairs == [[2, 1], [2, 0], [8, 0], [None, None]]


def test_the_disk_is_looked_at_when_it_is_asked_for(folder):
    (folder / list_runs(folder)[0].id / "adapter").write_bytes(b"0" * 3 * 2**20)
    frame = runs_table("disk_mib > 2", runs_dir=folder)
    assert len(frame) == 1
    assert frame["disk_mib"][0] >= 3.0
    assert "disk_mib" not in runs_table(runs_dir=folder).columns


def test_a_broken_run_is_a_row_that_says_so(folder):
    list_runs(folder)[0].files.experiment_file.write_text("no: experiment")
    table = listed(folder)
    assert list(table["state"]).count("unreadable") == 1
    assert len(query(table, "state = unreadable", group="seeds")) == 1


@pytest.mark.slow
def test_ten_thousand_runs_are_filtered_sorted_and_grouped_from_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)  # files of a moment ago count as old
    names = make_runs(tmp_path, 10_000)
    with watched(tmp_path) as seen:
        table = frame(list_runs(tmp_path, unreadable=True))
        chosen = query(table, "method = qtha and learning_rate >= 0.003", "eval_loss", "seeds")
    assert seen == [("list", str(tmp_path)), ("open", str(tmp_path / index.NAME))]
    assert list(table["run"]) == names[::-1]
    assert chosen["runs"].sum() == 4_000  # of four methods two, of five rates four
    assert chosen["eval_loss"].is_monotonic_increasing
