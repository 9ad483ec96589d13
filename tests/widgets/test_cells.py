"""Cells that are run again in a real kernel.

What they showed before is closed with everything in it, and only that.
"""

import json
import re
import threading
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
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
from widgets.kit import cells, closing, pages
from widgets.explorers.explorer import Explorer
from widgets.kit import display
Shown = display.Shown, Explorer
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
        "cells.KEPT_SECONDS = closing.GRACE_SECONDS = pages.SETTLED_SECONDS = pages.QUIET_SECONDS ="
        " 0\npages.GONE_SECONDS = 0",
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
    notebook.run("b", "box.close()\ncells.KEPT_SECONDS = 300")
    notebook.run("a", "Views()")
    assert "RunsTable" in notebook.open()[1]  # the file may still show it


def test_no_widget_stays_open_that_has_a_closed_one_in_it(notebook):
    """A page that is loaded anew would wait for it for ever, with every panel of the notebook."""
    for _ in range(2):
        notebook.run("a", "Workbench()")
        notebook.run("b", "CircuitExplorer(n_qubits=2)")
    bereft = (
        "print([w for w in closing.open_widgets() if any(p.comm is None for p in"
        " closing.parts_of(w))])"
    )
    assert notebook.run("", bereft).strip() == "[]"
    assert notebook.open()[1].count("Workbench") == 1


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
        counts.append(int(notebook.run("", "print(len(closing.open_widgets()))")))
    assert len(set(counts)) == 1  # rows are no widgets


REPLACED = """
box, old = ipw.HBox(), ipw.HBox([ipw.Label("old")])
box.children = [old]
closing.put(box, [ipw.Label("new")])
"""
IS_OPEN = "print([old.comm is not None, old.children[0].comm is not None])"


def test_what_is_replaced_while_a_page_comes_is_closed_once_the_page_has_its_panels(notebook):
    notebook.run("a", "Views()")  # from then on pages are known
    notebook.run("", "pages.SETTLED_SECONDS = 1.5")
    notebook.client.kernel_info()  # as every page does first
    notebook.run("b", REPLACED)
    assert notebook.run("", IS_OPEN).strip() == "[True, True]"
    notebook.run("", "import asyncio\nawait asyncio.sleep(2)")
    assert notebook.run("", IS_OPEN).strip() == "[False, False]"


def test_a_page_that_comes_while_the_kernel_is_busy_is_heard(notebook):
    notebook.run("a", "Views()")
    notebook.run("", "pages.SETTLED_SECONDS, closing.GRACE_SECONDS = 2, 0.5")
    notebook.run("b", REPLACED)
    page = BlockingKernelClient()
    page.load_connection_info(notebook.client.get_connection_info())
    threading.Timer(0.2, page.iopub_channel.start).start()
    notebook.run("", "import asyncio, time\ntime.sleep(1)")
    page.stop_channels()
    assert notebook.run("", IS_OPEN).strip() == "[True, True]"
    notebook.run("", "await asyncio.sleep(2.5)")
    assert notebook.run("", IS_OPEN).strip() == "[False, False]"


@pytest.mark.slow
def test_a_page_that_asks_for_one_widget_after_another_is_waited_for(notebook):
    notebook.run("a", "Views()")
    notebook.run("", "pages.SETTLED_SECONDS = 2")
    notebook.client.kernel_info()
    notebook.run("b", REPLACED)
    comm = notebook.run("", "print(box.comm.comm_id)").strip()
    for _ in range(3):
        content = {"comm_id": comm, "data": {"method": "request_state"}}
        notebook.client.shell_channel.send(notebook.client.session.msg("comm_msg", content))
        notebook.run("", "import asyncio\nawait asyncio.sleep(1)")
    assert notebook.run("", IS_OPEN).strip() == "[True, True]"
    notebook.run("", "await asyncio.sleep(2.5)")
    assert notebook.run("", IS_OPEN).strip() == "[False, False]"


def test_what_is_replaced_is_closed_right_after_a_page_said_something(notebook):
    """Send no message, as a page that is being reloaded."""
    notebook.run("a", "Views()")
    notebook.run("", "pages.GONE_SECONDS, pages.HEARD_SECONDS, closing.GRACE_SECONDS = 30, 0.5, 1")
    notebook.run("b", REPLACED)
    notebook.run("", "import asyncio\nawait asyncio.sleep(2)")
    assert notebook.run("", IS_OPEN).strip() == "[True, True]"
    notebook.run("", "await asyncio.sleep(0.3)")
    assert notebook.run("", IS_OPEN).strip() == "[False, False]"


HELD = """
from widgets.kit.broadcast import at_once
with at_once():
    ipw.HBox([ipw.Label("a")])
    print("said", flush=True)
    ipw.Label("b")
    print("said too", flush=True)
"""
STEPPED = """
import asyncio
from widgets.kit.loop import Background
async def work():
    ipw.Label("a")
    print("said", flush=True)
    ipw.Label("b")
    await asyncio.sleep(0.1)
    ipw.Label("c")
    print("said too", flush=True)
background = Background(print)
background.start("work", work)
await asyncio.gather(*background.tasks.values())
"""
TWO_THREADS = """
import threading, time
from widgets.kit.broadcast import at_once
def other():
    with at_once():
        ipw.Label("b")
        print("other", flush=True)
thread = threading.Thread(target=other)
with at_once():
    thread.start()
    time.sleep(0.2)
    print("one", flush=True)
    ipw.Label("a")
thread.join()
"""


def heard(notebook, source):
    """The messages that the cell sends to pages, in order."""
    message = notebook.client.session.msg("execute_request", {"code": source, "silent": False})
    notebook.client.shell_channel.send(message)
    while True:
        answer = notebook.client.get_iopub_msg(timeout=120)
        assert answer["msg_type"] != "error", answer["content"]
        yield answer
        if answer["content"].get("execution_state") == "idle" and (
            answer["parent_header"].get("msg_id") == message["header"]["msg_id"]
        ):
            return


def told(notebook, source):
    """Return the cell's messages in order: opened widgets and printed text."""
    kinds = []
    for answer in heard(notebook, source):
        if answer["msg_type"] == "comm_open":
            kinds.append("open")
        elif answer["msg_type"] == "stream" and (text := answer["content"]["text"].strip()):
            kinds.append(text)  # the kernel may send a line end in a message of its own
    return kinds


def test_what_is_told_at_once_is_told_at_the_end(notebook):
    """Two labels and a box, with layouts and styles."""
    assert told(notebook, HELD) == ["said", "said too", *["open"] * 8]


def test_each_step_of_work_in_the_background_is_told_at_its_end(notebook):
    assert told(notebook, STEPPED) == ["said", *["open"] * 6, "said too", *["open"] * 3]


FROM_A_PAGE = """
import asyncio, threading
from widgets.kit.loop import Background
button, answers = ipw.Button(), []
def click(_):
    answers.append(threading.current_thread() is threading.main_thread())
    background = Background(print)
    background.start_once("count", count)
    background.start_once("count", count)
    pages.later(0, lambda: answers.append("closed"))
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
    assert answers == "[False, 'closed', 'once']"


def test_one_thread_after_another_tells_what_it_made(notebook):
    assert told(notebook, TWO_THREADS) == ["one", *["open"] * 3, "other", *["open"] * 3]


DEEDS = """
os.environ["QTHA_LAB_RUNS"] = {runs!r}
bench = Workbench()
bench.setup.methods.add.value = bench.setup.methods.add.options[-1]
bench.setup.methods.cards[0].copy.click()
bench.panes.ticked = bench.panes.ticked[:2]
bench.panes.select("Compare")
bench.panes.select("Chat")
bench.panes.select("Export")
CircuitExplorer(n_qubits=2)
"""


@pytest.mark.slow
def test_what_is_made_together_refers_to_nothing_that_was_told_before(notebook):
    """A page that comes meanwhile did not hear it, and shows a hole in place of what refers to it."""
    notebook.run("", "import asyncio, os")
    made = 0
    for deed in DEEDS.format(runs=str(RUNS)).strip().splitlines():
        opened, parts = set(), set()
        for answer in heard(notebook, f"{deed}\nawait asyncio.sleep(0.5)"):
            if answer["msg_type"] == "comm_open":
                opened.add(answer["content"]["comm_id"])
                parts |= set(re.findall(r"IPY_MODEL_(\w+)", json.dumps(answer["content"]["data"])))
        assert parts <= opened, deed
        made += len(opened)
    notebook.run("", "del os.environ['QTHA_LAB_RUNS']")
    assert 10 < made <= 60  # the whole page, with every pane opened, and an explorer


def test_what_cannot_be_closed_keeps_nothing_else_open(notebook):
    notebook.run("a", "Views()")
    notebook.run("b", f"print(pages.later(0, lambda: 1 / 0))\n{REPLACED}")
    notebook.run("", "import asyncio\nawait asyncio.sleep(1)")
    assert notebook.run("", IS_OPEN).strip() == "[False, False]"


def test_a_cell_run_again_keeps_what_it_showed_while_a_page_comes(notebook):
    notebook.run("a", "Views()")
    notebook.run("", "pages.SETTLED_SECONDS = 1.5")
    notebook.client.kernel_info()
    notebook.run("a", "RunsTable()")
    assert notebook.open()[1] == ["RunsTable", "Views"]
    notebook.run("", "import asyncio\nawait asyncio.sleep(2)")
    assert notebook.open()[1] == ["RunsTable"]


def test_what_is_put_back_in_time_stays_open(notebook):
    notebook.run("a", "Views()")
    notebook.run("b", f"{REPLACED}\nclosing.put(box, [old])")
    assert notebook.run("", IS_OPEN).strip() == "[True, True]"
