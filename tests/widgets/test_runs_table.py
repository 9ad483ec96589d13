"""The panel of all runs: what a page is sent, what a person does in it, what changes by itself."""

import csv
from datetime import UTC, datetime, timedelta

import pytest
from support.refusals import refused
from support.run_folders import make_runs, run_folder, status, train, watched, write
from support.workbench_kernel import Wire

from qtha_lab.experiment.run_directory import annotations, exit_status, queue, record
from qtha_lab.experiment.run_directory.annotations import annotate
from qtha_lab.runs import run
from qtha_lab.runs.table.listing import Listing
from widgets.figures.saving import SaveTable
from widgets.kit import boxes
from widgets.runs.run_list import LogView
from widgets.runs.runs_table import RunsTable


@pytest.fixture(autouse=True)
def _old_files(monkeypatch):
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)  # files of a moment ago count as old


@pytest.fixture
def folder(tmp_path):
    make_runs(tmp_path, 100)
    return tmp_path


@pytest.fixture
def table(folder):
    table = RunsTable(folder)
    table.wait()
    yield table
    table.close()


class Page:
    """The rows that a page holds: those that it requested, and their changes."""

    def __init__(self, table: RunsTable):
        self.table, self.version, self.rows, self.bytes = table, 0, {}, 0
        table.grid.comm = Wire()

    def look(self, first: int = 0, last: int = 60) -> "Page":
        self.hear()
        if first < last:
            question = {"kind": "rows", "from": first, "to": last}
            self.table.grid._handle_custom_msg(question, [])
        return self.hear()

    def hear(self) -> "Page":
        """Take in the messages of the table."""
        self.bytes = self.table.grid.comm.bytes()
        for message, _ in self.table.grid.comm.messages():
            if message["version"] != self.version:
                self.version, self.rows = message["version"], {}
            self.rows |= {index: rest for index, *rest in message["rows"]}
        return self

    @property
    def columns(self) -> list[str]:
        return [column["name"] for column in self.table.grid.columns]

    def column(self, name: str) -> list[str]:
        return [cells[self.columns.index(name)] for _, cells, *_ in self.rows.values()]


def ids(table: RunsTable) -> list[str]:
    table.wait()
    return list(table.shown["run"])


def test_a_page_holds_what_is_in_sight_and_fetches_the_rest_when_it_gets_there(table, folder):
    page = Page(table).look(0, 10)
    assert len(page.rows) == 10
    page.look(90, 300)
    assert sorted(page.rows) == [*range(10), *range(90, 100)]
    names = [run.id for run in run.list_runs(folder)]
    assert [page.rows[i][0] for i in (0, 99)] == [[names[0]], [names[99]]]
    assert {"run", "name", "state", "method", "eval_loss", "tags", "note"} <= set(page.columns)
    assert "batch_size" not in page.columns  # in which the runs do not differ


def test_where_sort_group_and_columns_are_traits_that_the_table_follows(table):
    table.where = "method = qtha and learning_rate >= 0.03"
    table.sort = "-eval_loss"
    assert len(ids(table)) == 20
    assert {*table.shown["method"]} == {"qtha"}
    losses = list(table.shown["eval_loss"])
    assert losses == sorted(losses, reverse=True)
    table.group = "seeds"
    table.wait()
    assert list(table.shown["runs"]) == [5, 5, 5, 5]
    table.columns = ("method", "eval_loss")
    table.wait()
    assert Page(table).look().columns == ["method", "eval_loss"]
    assert "[" in Page(table).look().column("eval_loss")[0]


def test_a_row_names_what_differs_from_the_other_runs_of_its_method(tmp_path):
    control = "qtha(r=4,use_circuit=false)"
    for name, method in (("first", "qtha(r=4)"), ("second", control), ("third", "lora(r=2)")):
        run_folder(tmp_path, method, name=f"workbench {name}")
    table = RunsTable(tmp_path, brief=True)
    table.wait()
    rows = [(ids, cells) for _, ids, cells, *_, heading in table.grid.rows(0, 9) if not heading]
    table.close()
    methods = {run.Run(tmp_path / ids[0]).experiment.method.label: cells[2] for ids, cells in rows}
    assert methods == {"qtha(r=4)": "", control: "use circuit False", "lora(r=2)": ""}


def test_a_row_is_titled_by_method_and_seed_unless_a_user_has_named_its_run(tmp_path):
    names = {
        "qtha(r=4)": "20261202-181820-53c4",
        "dora(r=2)": "workbench 1",
        "lora(r=2)": "my best",
    }
    for method, name in names.items():
        run_folder(tmp_path, method, name=name)
    table = RunsTable(tmp_path, brief=True)
    table.wait()
    titles = [cells[0] for _, _, cells, *_, heading in table.grid.rows(0, 9) if not heading]
    table.close()
    assert sorted(titles) == ["dora · seed 0", "my best", "qtha · seed 0"]


def test_the_runs_of_yesterday_are_shown_alone_where_there_are_others(tmp_path):
    today = run_folder(tmp_path, "lora(r=2)").id
    noon = datetime.now().astimezone().replace(hour=12) - timedelta(days=1)
    name = f"{noon.astimezone(UTC):%Y%m%d-%H%M%S}-tiny-qa-qtha-s0-1a2b"
    run_folder(tmp_path, "qtha(r=4)").path.rename(tmp_path / name)
    table = RunsTable(tmp_path)
    assert ids(table) == [today, name]
    assert boxes.is_shown(table.day)
    table.day.value = True
    assert ids(table) == [name]
    table.day.value = False
    assert ids(table) == [today, name]
    table.close()


def test_a_wrong_expression_is_a_sentence_and_the_table_stays(table):
    before = ids(table)
    table.where = "methd = qtha"
    table.wait()
    assert table.error.text.startswith("column must be one of the table, got 'methd'")
    assert ids(table) == before
    table.where = ""
    table.wait()
    assert table.error.text == ""
    table.columns = ("nothing_such",)
    table.wait()
    assert "got 'nothing_such'" in table.error.text


def test_marks_are_written_in_the_table_and_shown_first_where_pinned(table):
    oldest = ids(table)[-1]
    for action, value in (
        ("name", "my best"),
        ("tags", "best, warm"),
        ("note", "for the paper"),
        ("pin", "yes"),
    ):
        table.grid.act(action, [oldest], value)
    assert ids(table)[0] == oldest
    page = Page(table).look(0, 1)
    assert [page.column(name) for name in ("name", "tags", "note")] == [
        ["my best"],
        ["best, warm"],
        ["for the paper"],
    ]
    assert page.rows[0][2] == 1
    table.grid.act("tags", [oldest], "warm")
    table.grid.act("pin", [oldest], "")
    assert ids(table)[-1] == oldest
    assert table.shown["tags"].iloc[-1] == ["warm"]


def test_ticked_runs_are_tagged_deleted_and_restored(table, folder):
    two = ids(table)[:2]
    table.grid.ticked = two  # as a page does
    assert table.ticked == tuple(two)
    table.tag.value = "best"
    add, remove, delete, restore, clear = table.of_ticked
    add.click()
    table.wait()
    assert list(table.shown["tags"])[:3] == [["best"], ["best"], []]
    delete.click()
    assert two[0] not in ids(table)
    assert set(annotations.list_trash(folder)) == set(two)
    assert table.ticked == ()
    table.binned = True
    assert set(ids(table)) == set(two)
    table.ticked = (two[0],)
    restore.click()
    table.wait()
    table.binned = False
    assert two[0] in ids(table)
    assert annotations.list_trash(folder) == [two[1]]
    assert (remove.disabled, clear.disabled) == (True, True)


def test_a_run_at_work_is_not_deleted_from_the_table(table, folder):
    first = ids(table)[0]
    lock = queue.hold(folder / first / "worker.lock")
    assert lock is not None
    (folder / first / "events.jsonl").unlink()
    write(run.Run(folder / first), status("running", 0))
    table.grid.act("delete", [first], "")
    table.wait()
    assert f"must not be running, got {first}" in table.error.text
    assert first in ids(table)


def test_a_group_is_ticked_as_its_runs_and_too_many_are_refused(table):
    table.group = "seeds"
    table.wait()
    page = Page(table).look()
    assert {len(row[0]) for row in page.rows.values()} == {5}
    table.grid.ticked = [f"run {number}" for number in range(201)]
    too_many = "Ticked runs must be at most 200, got 201. Filter some of them out."
    assert table.error.text == too_many
    assert table.ticked == ()


def test_all_that_a_filter_shows_is_ticked_beside_what_was_and_too_many_are_refused(tmp_path):
    make_runs(tmp_path, 210)
    table = RunsTable(tmp_path)
    try:
        first = ids(table)[0]
        table.ticked = (first,)
        table.where = "method = qtha and seed = 0"
        wanted = ids(table)
        table.every.click()
        table.wait()
        assert 1 < len(wanted) < 200
        assert table.ticked == tuple(dict.fromkeys([first, *wanted]))
        assert table.grid.ticked == list(table.ticked)
        before, table.where = table.ticked, ""
        table.every.click()
        table.wait()
        too_many = "Ticked runs must be at most 200, got 210. Filter some of them out."
        assert (table.error.text, table.ticked) == (too_many, before)
    finally:
        table.close()


def test_what_others_do_in_the_folder_shows_at_the_next_looks(table, folder):
    page = Page(table).look()
    (folder / ids(table)[3]).rename(folder / "zz")  # by a person, in a shell
    table.due = 0.0  # rows that were arranged a moment ago rest
    table._look()
    assert ids(table)[0] == "zz"
    assert page.look().rows[0][0] == ["zz"]
    annotate(run.Run(folder / "zz").files, name="theirs")
    table.due = table.listing._due = 0.0  # nor is a folder read all the time, if no entry was added
    table._look()
    table.wait()
    assert page.look(0, 0).column("name")[0] == "theirs"


@pytest.mark.slow
def test_running_runs_send_what_changed_and_little_of_it(table, folder, monkeypatch):
    going = []
    for number in range(60):
        run = run_folder(folder, "lora(r=2)", number, steps=100)
        write(run, status("running", 0))
        lock = queue.hold(run.files.lock)
        going.append((run, lock))
    table.refresh()
    table.wait()
    page = Page(table).look(0, 60)
    for step in range(1, 4):
        for run, _ in going:
            write(run, train(step, 5.0))
        table._look()
        table.wait()
        page.look(0, 0)
        assert set(page.column("state")[:60]) == {f"running {step}/100"}
        assert page.bytes <= 250 * 60  # the changed rows, and no other
    table._look()
    table.wait()
    assert page.look(0, 0).bytes == 0  # nothing has changed since


def test_a_look_at_many_runs_reads_nothing_but_those_at_work(tmp_path):
    make_runs(tmp_path, 300)
    run = run_folder(tmp_path, "lora(r=2)", 7, steps=100)
    write(run, status("running", 0))
    lock = queue.hold(run.files.lock)
    assert lock is not None
    listing = Listing(tmp_path)
    listing.read()
    with watched(tmp_path) as seen:
        assert listing.look() == set()
        write(run, train(1, 5.0))
        assert listing.look() == {run.id}
    assert {path.split("/")[-2] for _, path in seen} == {run.id}


def test_a_dead_run_says_how_to_see_its_log(table, folder):
    run = run_folder(folder, "lora(r=2)", 3, steps=9)
    write(
        run,
        status("running", 0),
        train(1, 5.0),
        {"kind": "note", "step": 1, "message": "batch is halved"},
    )
    run.files.log.write_text(f"{exit_status.BEGIN}\nTraceback\nMemoryError: no room\n")
    table.refresh()
    table.wait()
    page = Page(table).look()
    assert page.column("state")[0] == "dead"
    assert page.rows[0][3] == 1
    table.grid.act("open", [run.id], "")
    view = table.log_view
    assert table.log_fold.unfolded
    assert str(run.files.log) in view.head.value
    assert "dead at step 1 of 9" in view.head.value
    assert "batch is halved" in view.events.value
    assert "MemoryError: no room" in view.output.value


def test_a_log_of_no_run_is_a_sentence(folder):
    view = LogView("nothing", folder)
    assert "Unknown run &#x27;nothing&#x27; in" in view.error.panel.value


def test_a_table_is_still_there_where_no_kernel_answers(table):
    assert "application/vnd.jupyter.widget-view+json" in table._repr_mimebundle_()
    bundle = table.still()
    assert bundle["text/html"].count("<tr>") == 31
    assert ids(table)[0] in bundle["text/plain"]


def test_a_folder_without_runs_is_an_empty_table(tmp_path):
    table = RunsTable(tmp_path / "none yet")
    table.wait()
    assert table.error.text == ""
    assert table.count.value == "0 runs"
    table.close()


def test_the_table_that_is_shown_is_saved_with_every_digit_or_as_it_is_read(table, tmp_path):
    table.where, table.sort = "method = qtha and learning_rate >= 0.03", "-eval_loss"
    table.columns = ("run", "method", "eval_loss", "tags")
    best = ids(table)[0]
    table.grid.act("tags", [best], "best, warm")
    table.wait()
    save = next(part for part in table.children if isinstance(part, SaveTable))
    save.folder = tmp_path / "tables"
    path = save.write()
    assert path.name == "runs.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    shown = table.shown
    assert [row["run"] for row in rows] == list(shown["run"])
    assert [float(row["eval_loss"]) for row in rows] == list(shown["eval_loss"])
    assert rows[0]["tags"] == "best, warm"
    assert save.write().name == "runs-2.csv"  # none is written over

    table.columns, table.group = ("method", "learning_rate", "eval_loss"), "seeds"
    with save.write().open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["eval_loss_max"]) for row in rows] == list(table.shown["eval_loss_max"])
    save.form.value = "md"
    lines = save.write().read_text().splitlines()
    assert lines[0] == "| method | learning rate | evaluation loss (nats) |"
    assert len(lines) == 2 + len(table.shown)
    assert lines[2].startswith(f"| qtha | {table.shown['learning_rate'].iloc[0]:g} | ")
    assert "–" in lines[2]  # the least and the most
    save.form.value = "tex"
    assert "\\toprule" in save.write().read_text()
    table.where = "seed = 999"
    with refused("The table", rule="no row"):
        save.write()
