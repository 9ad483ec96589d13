"""The page shows the kernel's state after any delays, reloads, restarts and cuts of the connection.

A session is a random order of such events. QTHA_LAB_SESSIONS is their number, 100 at night.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import Lab, open_lab
from support.waiting import PATIENCE, wait_until

from qtha_lab.core.io import write_atomically

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SESSIONS = int(os.environ.get("QTHA_LAB_SESSIONS", "3"))
EVENTS = 3  # of a session
CHANGES = 20  # of the kernel, while a user changes the same controls
CELL = """
import asyncio, json, random
from pathlib import Path

import anywidget
import ipywidgets as ipw
from ipywidgets.widgets.widget import _instances
from qtha_lab.core.io import write_atomically
from qtha_lab.figures import loss_curves
from qtha_lab.widgets import Chip, FigureWidget, Workbench

class Manager(anywidget.AnyWidget):
    _esm = "export default { initialize({ model }) { globalThis.manager = model.widget_manager; } };"

def figure(count):
    values = [5 - step / 100 for step in range(count)]
    return loss_curves([{"label": "lora", "seed": 0, "kind": "eval", "steps": [*range(count)], "values": values}])

count = 1
chip, chart, bench = Chip(), FigureWidget(figure(count)), Workbench(attach=())
entry = ipw.Text(description="entry", continuous_update=False)

def lengthen():
    global count
    count += 1
    chart.show(figure(count))

CHANGES = (
    lengthen,
    lambda: setattr(chip, "n_layers", random.randint(1, 4)),
    lambda: setattr(chip.controls["shots"], "index", random.randint(0, 5)),
    lambda: setattr(entry, "value", str(random.random())),
    lambda: setattr(bench.setup.training_fold, "unfolded", random.random() < 0.5),
    lambda: setattr(bench.setup.steps, "value", str(random.randint(1, 99))),
    lambda: setattr(bench.panes, "selected_index", random.randint(0, 1)),
)

async def serve():
    while True:
        if (order := Path("change.json")).exists():
            request = json.loads(order.read_text())
            order.unlink()
            for _ in range(request):
                random.choice(CHANGES)()
                await asyncio.sleep(random.random() / 20)
            Path("changed").touch()
        states = {name: widget.get_state() for name, widget in list(_instances.items())}
        write_atomically(Path("states.json"), json.dumps(states, default=str))
        await asyncio.sleep(0.3)

task = asyncio.create_task(serve())
ipw.VBox([Manager(), entry, chip, chart, bench])
"""
# A connection to the kernel that delays each message at random, in order within a channel, and that
# can be cut: what is on its way is lost. JupyterLab's pauses between attempts to reconnect are short.
CABLE = """(() => {
    const cable = globalThis.cable = { longest: 300, whole: true, ends: new Set() };
    const Native = WebSocket, random = Math.random;
    Math.random = () => random() * (cable.whole ? 1 : 0.03);
    const channelOf = (end, data) => {
        if (typeof data === "string") return JSON.parse(data).channel;
        if (end.protocol !== "v1.kernel.websocket.jupyter.org") return "any";
        const view = new DataView(data), at = (place) => Number(view.getBigUint64(8 * place, true));
        return new TextDecoder().decode(data.slice(at(1), at(2)));
    };
    globalThis.WebSocket = class extends Native {
        constructor(...given) {
            super(...given);
            if (!/channels/.test(given[0])) return;
            this.lines = {};
            cable.ends.add(this);
            if (!cable.whole) this.cut();
        }
        cut() { this.gone = true; super.close(); }
        pass(way, data, deliver) {
            const line = `${way} ${channelOf(this, data)}`;
            const pause = new Promise((done) => setTimeout(done, random() * cable.longest));
            this.lines[line] = Promise.all([this.lines[line], pause]).then(() => this.gone || deliver());
        }
        send(data) { this.lines ? this.pass("out", data, () => super.send(data)) : super.send(data); }
        get onmessage() { return this.answer; }
        set onmessage(answer) {
            this.answer = answer;
            super.onmessage = (event) => this.lines && answer ? this.pass("in", event.data, () => answer(event)) : answer?.(event);
        }
    };
    cable.cut = () => { cable.whole = false; cable.ends.forEach((end) => end.cut()); cable.ends.clear(); };
})()"""
# The state of every model that the page holds connected, as a saved notebook has it.
STATES = """async () => {
    const { manager } = globalThis;
    if (!manager) return {};
    const models = await Promise.all(Object.values(manager._models).map((model) => Promise.resolve(model).catch(() => null)));
    const living = new Set(models.filter((model) => model?.comm_live).map((model) => model.model_id));
    const { state } = await manager.get_state({ drop_defaults: false });
    return Object.fromEntries(Object.entries(state).filter(([id]) => living.has(id)).map(([id, { state }]) => [id, state]));
}"""
CAPTIONS = (
    "() => [...document.querySelectorAll('.qtha-figure > p')].map((line) => line.textContent)"
)
LOST = "The connection to the kernel was interrupted."


class Session:
    """A page and its kernel, which change the same controls."""

    def __init__(self, lab: Lab):
        self.lab, self.page, self.folder = lab, lab.page, lab.notebook.parent

    def kernel(self) -> dict[str, dict[str, Any]]:
        """Return the state of every widget of the kernel."""
        return json.loads((self.folder / "states.json").read_text(encoding="utf-8"))

    def differences(self) -> list[str]:
        """Name each part of the page that differs from the kernel."""
        kernel, page = self.kernel(), self.page.evaluate(STATES)
        found = [f"{model} is on one side only" for model in kernel.keys() ^ page.keys()]
        for model in kernel.keys() & page.keys():
            found += [
                f"{model} {name}: {page[model].get(name)!r:.80} for {value!r:.80}"
                for name, value in kernel[model].items()
                if not name.startswith(("_esm", "_css")) and page[model].get(name) != value
            ]
        return found

    def check(self) -> None:
        """Wait until the page is equal to the kernel, and compare what it shows."""
        wait_until(lambda: not self.differences(), lambda: "\n".join(self.differences()[:9]))
        alts = {state["alt"] for state in self.kernel().values() if "drawing" in state}
        wait_until(lambda: {*self.page.evaluate(CAPTIONS)} <= alts, lambda: f"stale: {alts}")
        expect(self.page.locator(".qtha-pane:visible")).to_have_count(1)

    def begin(self) -> None:
        """Run the cell, and wait for its widgets."""
        (self.folder / "states.json").unlink(missing_ok=True)
        self.lab.run_cell("import anywidget")
        expect(self.page.locator(".qtha-workbench")).to_be_visible()
        wait_until((self.folder / "states.json").exists)

    def change(self, choose: random.Random) -> None:
        """Change controls from both sides at the same time."""
        done = self.folder / "changed"
        done.unlink(missing_ok=True)
        write_atomically(self.folder / "change.json", str(CHANGES))
        for _ in range(8):
            self.act(choose)
        wait_until(done.exists)

    def act(self, choose: random.Random) -> None:
        """Change a control of the page, as a user does."""
        chip, bench = self.page.locator(".qtha-chip"), self.page.locator(".qtha-workbench")
        acts: tuple[Callable[[], None], ...] = (
            lambda: self.press(chip.get_by_role("slider", name="layers"), choose),
            lambda: self.press(chip.get_by_role("slider", name="shots"), choose),
            lambda: self.fill(str(choose.random())),
            lambda: bench.get_by_role("tab", name=choose.choice(["Watch", "Compare"])).click(),
            lambda: bench.get_by_role("button", name="Training").first.click(),
        )
        choose.choice(acts)()

    def press(self, slider: Locator, choose: random.Random) -> None:
        slider.focus()
        self.page.keyboard.press(choose.choice(["ArrowLeft", "ArrowRight"]))

    def fill(self, text: str) -> None:
        self.page.get_by_label("entry", exact=True).fill(text)
        self.page.keyboard.press("Tab")

    # ---- events

    def reload(self) -> None:
        self.lab.save()
        self.page.reload()
        self.lab.wait_idle()

    def restart(self) -> None:
        self.lab.restart_kernel()
        self.begin()

    def cut(self) -> None:
        """Cut the connection, mend it, and take the page's advice."""
        self.page.evaluate("cable.cut()")
        self.page.wait_for_timeout(500)
        self.page.evaluate("cable.whole = true")
        self.take_advice()

    def take_advice(self) -> None:
        """Reload by the button of the sentence on lost messages."""
        sentence = self.page.locator(".Toastify__toast", has_text=LOST)
        with self.page.expect_event("load"):  # the notebook is saved before the page is reloaded
            sentence.get_by_role("button", name="Reload").click()
        self.lab.wait_idle()


@pytest.fixture(scope="module")
def session(jupyter, tmp_path_factory) -> Iterator[Session]:
    notebook = tmp_path_factory.mktemp("sync") / "page.ipynb"
    cell = nbformat.v4.new_code_cell(CELL.strip())
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with open_lab(jupyter, notebook, size=(1400, 3000)) as lab:
        lab.page.add_init_script(CABLE)
        lab.page.reload()
        lab.wait_idle()
        session = Session(lab)
        session.begin()
        yield session


@pytest.mark.parametrize("seed", range(SESSIONS))
def test_the_page_is_equal_to_the_kernel_after_any_events(session, seed):
    choose = random.Random(seed)
    for event in choose.choices([session.reload, session.restart, session.cut], k=EVENTS):
        session.change(choose)
        event()
        session.check()
        session.change(choose)
        session.check()


def test_a_cut_longer_than_all_attempts_to_reconnect_ends_with_a_reload(session):
    session.page.evaluate("cable.cut()")
    status = session.page.locator(".jp-StatusBar-TextItem", has_text="| Disconnected")
    expect(status).to_be_visible(timeout=1000 * PATIENCE)
    session.change(random.Random(0))
    session.page.evaluate("cable.whole = true")
    session.take_advice()
    session.check()
