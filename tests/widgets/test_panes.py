"""The tabs of the page: panes are made when they are opened, and tied by the ticked runs."""

import asyncio

import ipywidgets as ipw
from support.run_folders import run_folder, status, train, write
from support.workbench_kernel import fail

from widgets.workbench.panes import Panes
from widgets.workbench.verdict import VerdictPane
from widgets.workbench.workbench import Workbench


def stopped(tmp_path, method):
    run = run_folder(tmp_path / "runs", method, name="before", steps=9)
    write(run, status("running", 0), train(1, 5.0), status("stopped", 1))
    return run.id


def test_nothing_is_made_before_it_is_opened_and_ticked_runs_are_viewed(tmp_path):
    ids = tuple(stopped(tmp_path, method) for method in ("lora(r=2)", "qtha(r=4)"))
    panes = Panes(ipw.VBox(), VerdictPane(print), fail)
    assert panes.opened == {}
    panes.ticked = ids
    for name in ("Compare", "Chat", "Export"):
        panes.select(name)
    assert panes.opened["Compare"].runs == panes.opened["Chat"].runs == ids
    assert (panes.opened["Export"].runs, panes.opened["Export"].run) == (ids, ids[0])
    panes.ticked = ids[:1]
    assert panes.opened["Compare"].runs == panes.opened["Chat"].runs == ids[:1]


def test_runs_are_ticked_in_the_table_and_compared_by_one_click(tmp_path):
    ids = {stopped(tmp_path, method) for method in ("lora(r=2)", "qtha(r=4)")}

    async def work():
        bench = Workbench()
        bench.view(run.id for run in bench.watch.runs)
        bench.background.stop()
        return bench

    bench = asyncio.run(work())
    assert set(bench.panes.ticked) == set(bench.table.ticked) == ids
    assert bench.panes.shown == "Compare"
    assert set(bench.panes.opened["Compare"].runs) == ids
