"""Cells that are run again in a real kernel.

What they showed before is closed with everything in it, and only that.
"""

import json
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from support.preloaded import KERNEL

RUNS = Path(__file__).parents[2] / "data" / "runs"
OPEN = """
import json
from ipywidgets.widgets.widget import _instances
print(json.dumps([len(_instances), sorted(type(w).__name__ for w in _instances.values() if isinstance(w, Shown))]))
"""
SETUP = """
import ipywidgets as ipw
from ipywidgets.widgets.widget import _instances
from widgets import CircuitExplorer, RunsTable, Views, Workbench
from widgets.kit import boxes, static_output
Shown = CircuitExplorer, RunsTable, Views, Workbench
"""


class Notebook:
    """Runs cells as JupyterLab does, which says which cell it is, and which were deleted."""

    def __init__(self, client):
        self.client = client

    def run(self, cell: str, source: str, deleted: tuple[str, ...] = ()) -> str:
        """Return the output of the cell.

        Args:
            cell: Its id.
            source: Its code.
            deleted: Cells that went since the last was run.
        """
        content = {
            "code": source, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": True,
        }  # fmt: skip
        metadata = {"cellId": cell, "deletedCells": list(deleted)}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        printed = ""
        while True:
            answer = self.client.get_iopub_msg(timeout=120)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, content = answer["msg_type"], answer["content"]
            assert kind != "error", content
            printed += content["text"] if kind == "stream" else ""
            if kind == "status" and content["execution_state"] == "idle":
                return printed

    def open(self) -> tuple[int, list[str]]:
        """Return the number of open widgets, and the panels."""
        count, panels = json.loads(self.run("", OPEN).splitlines()[-1])
        return count, panels


class PreloadedKernel(KernelManager):
    """A kernel that does not import the large libraries anew."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=KERNEL, language="python")


@pytest.fixture(scope="module")
def kernel():
    manager = PreloadedKernel()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(kernel):
    notebook = Notebook(kernel)
    notebook.run("setup", SETUP)
    notebook.run(
        "",
        "static_output.KEPT_SECONDS = 0",
    )
    yield notebook
    notebook.run(
        "", "for panel in [w for w in _instances.values() if isinstance(w, Shown)]: panel.close()"
    )


def test_a_cell_run_again_leaves_nothing_of_what_it_showed_before(notebook):
    notebook.run("a", "CircuitExplorer(n_qubits=2)")
    before = notebook.open()
    assert before[0] > 5
    for _ in range(3):
        notebook.run("a", "CircuitExplorer(n_qubits=2)")
    count, panels = notebook.open()
    assert panels == before[1]
    assert count <= before[0] + 5
    notebook.run("a", "nothing = 0")
    assert notebook.open()[1] == []
    notebook.run("a", "CircuitExplorer(n_qubits=2)")
    notebook.run("b", "x = 1", deleted=("a",))
    count, panels = notebook.open()
    assert panels == []
    assert count <= 20


def test_what_a_name_or_another_cell_still_holds_stays_open(notebook):
    notebook.run("a", "kept = CircuitExplorer(n_qubits=2)\nkept")
    notebook.run("b", "several = [Views()]\nseveral[0]")
    notebook.run("d", "both = Views()\nboth")
    notebook.run("e", "both")
    notebook.run("d", "both = 0\nCircuitExplorer(n_qubits=2)")  # still seen in cell e
    for cell in "ab":
        notebook.run(cell, "RunsTable()")
    left = ["CircuitExplorer"] * 2 + ["RunsTable"] * 2 + ["Views"] * 2
    assert notebook.open()[1] == left
    notebook.run("e", "RunsTable()")
    assert notebook.open()[1].count("Views") == 1
    notebook.run("a", "kept")  # shown anew in its cell, the same panel as ever
    assert notebook.open()[1].count("RunsTable") == 2
    assert notebook.run("f", "print(kept.comm is not None)").strip() == "True"


def test_a_panel_in_a_box_stays_and_one_that_was_replaced_just_now(notebook):
    notebook.run("a", "inner = CircuitExplorer(n_qubits=2)\nbox = ipw.VBox([inner])\ninner")
    notebook.run("a", "inner = 0\nRunsTable()")
    assert notebook.open()[1] == ["CircuitExplorer", "RunsTable"]
    notebook.run("b", "box.close()\nstatic_output.KEPT_SECONDS = 300")
    notebook.run("a", "Views()")
    assert "RunsTable" in notebook.open()[1]  # the file may still show it


def test_rows_of_other_runs_take_the_place_of_those_before(notebook):
    notebook.run(
        "a",
        "from qtha_lab.widgets import Views\nfrom widgets.runs.run_list import RunList\nfrom"
        " qtha_lab import list_runs",
    )
    notebook.run("b", "rows = RunList(print, print, print)")
    counts = []
    for _ in range(3):
        notebook.run("b", f"rows.show(list_runs({str(RUNS)!r}))")
        counts.append(int(notebook.run("", "print(len(_instances))")))
    assert len(set(counts)) == 1  # rows are no widgets


FROM_A_PAGE = """
import asyncio, threading
from widgets.kit.loop import Background
button, answers = ipw.Button(), []
def click(_):
    answers.append(threading.current_thread() is threading.main_thread())
    background = Background(print)
    background.start_once("count", count)
    background.start_once("count", count)
async def count():
    await asyncio.sleep(0.1)
    answers.append("once")
button.on_click(click)
button.comm._reply_subshell_for = lambda data, subshell: subshell  # as ipykernel 7.3 has it
print(button.comm.comm_id)
"""


def test_what_a_page_sets_going_goes_on_in_the_kernels_loop(notebook):
    """A page's clicks may be answered by a thread with a loop of its own, which ends when it is
    loaded anew.
    """
    comm = notebook.run("", FROM_A_PAGE).strip()
    session, control = notebook.client.session, notebook.client.control_channel

    def asked(kind, content):
        control.send(session.msg(kind, content))
        return notebook.client.get_control_msg(timeout=60)["content"]

    subshell = asked("create_subshell_request", {})["subshell_id"]
    clicked = {"comm_id": comm, "data": {"method": "custom", "content": {"event": "click"}}}
    message = session.msg("comm_msg", clicked)
    message["header"]["subshell_id"] = subshell
    notebook.client.shell_channel.send(message)
    notebook.run("", "while not answers: await asyncio.sleep(0.01)")
    assert asked("delete_subshell_request", {"subshell_id": subshell})["status"] == "ok"
    notebook.run("", "await asyncio.sleep(1)")
    answers = notebook.run("", "print(sorted(answers, key=str))").strip()
    assert answers == "[False, 'once']"
