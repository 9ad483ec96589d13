"""Under the page: all runs and views of the ticked ones, made when they are opened and tied to each other."""

import asyncio

from support.panels import fail
from support.run_folders import run_folder, status, train, write

from widgets.workbench.all_runs import Desk
from widgets.workbench.workbench import Workbench


def stopped(tmp_path, method):
    run = run_folder(tmp_path / "runs", method, name="before", steps=9)
    write(run, status("running", 0), train(1, 5.0), status("stopped", 1))
    return run.id


def test_nothing_is_made_before_it_is_opened_and_what_is_ticked_is_viewed(tmp_path):
    ids = tuple(stopped(tmp_path, method) for method in ("lora(r=2)", "qtha(r=4)"))
    desk = Desk(fail, print)
    assert desk.table.content is desk.views.content is None
    assert desk.views.title == "Views of the runs ticked above"
    desk.table.unfolded = True
    desk.table.content.wait()
    desk.table.content.ticked = ids
    assert desk.ticked == ids
    assert desk.views.title == "Views of 2 ticked runs"
    desk.views.unfolded = True
    assert desk.views.content.runs == ids
    desk.chat.unfolded = desk.leave.unfolded = True
    assert desk.chat.content.runs == ids
    assert (desk.leave.content.runs, desk.leave.content.run) == (ids, ids[0])
    desk.table.content.ticked = ids[:1]
    assert desk.chat.content.runs == ids[:1]
    assert desk.views.content.runs == ids[:1]
    desk.table.content.close()


def test_the_runs_of_the_page_are_viewed_by_one_click(tmp_path):
    ids = {stopped(tmp_path, method) for method in ("lora(r=2)", "qtha(r=4)")}

    async def work():
        bench = Workbench()
        bench.desk.show(run.id for run in bench.watch.runs)
        bench.background.stop()
        return bench.desk

    desk = asyncio.run(work())
    assert set(desk.ticked) == set(desk.views.content.runs) == ids
    assert desk.views.unfolded
