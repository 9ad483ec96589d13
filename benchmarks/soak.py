"""Random use of the workbench and the explorers in a browser: complaints, and growth of memory.

A real JupyterLab in headless Chromium. Actions are drawn from a seed: fields, sliders, menus,
buttons, ticks, launches, sweeps, themes, widths, reloads, a second tab. A journal in a folder
records them; an interrupted session continues in the same folder.
"""

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import conditions
from benchmarks.notebooks import open_notebook
from benchmarks.reporting import Table

CELLS = (
    """import torch
from qtha_lab import Comparison
from qtha_lab.experiment import MethodChoice, Training
from qtha_lab.widgets import CircuitExplorer, EngineExplorer, MpoExplorer, UpdateExplorer, Workbench
layers = {f"model.layers.{k}.self_attn.q_proj": [2.0**-i for i in range(64)] for k in range(6)}
events = [{"kind": "spectrum", "step": step, "layers": layers} for step in range(0, 100, 5)]
methods = [MethodChoice(name="qtha"), MethodChoice(name="lora")]
tiny = Comparison(methods=methods, training=Training(steps=2, spectrum_every=1))""",
    "MpoExplorer({'random': torch.randn(64, 64), 'half': torch.randn(64, 8) @ torch.randn(8, 64)})",
    "CircuitExplorer(n_qubits=4)",
    "UpdateExplorer({name: events for name in ('lora', 'qtha')})",
    "EngineExplorer(n_qubits=4)",
    "Workbench(tiny)",
)
SAMPLE_SECONDS = 60.0
LAUNCH_SECONDS, SWEEP_SECONDS = 120.0, 900.0  # between two launches, or two sweeps
ENTRIES = ("0", "-1", "abc", "2", "0.003", "1e-3", "0.001, 0.01", "4", " ", "é")
KEYS = ("ArrowRight", "ArrowLeft", "PageUp", "PageDown", "Home", "End")
THEMES = ("JupyterLab Light", "JupyterLab Dark")
WIDTHS = (1400, 900, 700)
PANELS = ".qtha-explorer, .qtha-workbench"
# not pressed at random: buttons that start runs or generate text
SKIPPED = (
    r"^\s*(Launch.*|Resume.*|Run the rest.*|Confirm.*|Answer|Export|Save"
    r"|.*more seed.*|tune .*|add .*|make .*)\s*$"
)
# Marks a usable control by a number from 0 to 1, and returns its label.
PICK = """([selector, within, chance, skipped]) => {
    document.querySelectorAll('[data-soak]').forEach(e => delete e.dataset.soak);
    const skip = new RegExp(skipped);
    const usable = [...document.querySelectorAll(within)]
        .flatMap(p => [...p.querySelectorAll(selector)])
        .filter(e => e.checkVisibility() && !e.disabled && e.clientHeight > 0)
        .filter(e => !skip.test(e.textContent));
    const one = usable[Math.floor(chance * usable.length)];
    if (!one) return null;
    one.dataset.soak = '1';
    const name = one.ariaLabel || one.labels?.[0]?.textContent || one.textContent || one.type;
    return name.trim().slice(0, 60);
}"""
SENTENCES = """() => [...document.querySelectorAll('.qtha-wrong')]
    .map(e => e.textContent.trim()).filter(Boolean)"""
FAULT = "fault of qtha-lab"
GROWTH = {
    "kernel": ("kernel MB", 1e6), "JSHeapUsedSize": ("page's heap MB", 1e6), "Nodes": ("nodes", 1),
    "JSEventListeners": ("listeners", 1),
}  # fmt: skip


class Journal:
    """Record of a soak, one line of JSON per entry, which a later session continues."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "soak.jsonl"
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a killed process leaves an incomplete last line
        if whole != text:
            self.path.write_text(whole, encoding="utf-8")
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        self.session = 1 + max((entry["session"] for entry in self.entries), default=-1)
        self.began = time.monotonic()

    def write(self, kind: str, **more: Any) -> None:
        """Append an entry."""
        seconds = round(time.monotonic() - self.began, 1)
        entry = {"session": self.session, "seconds": seconds, "kind": kind, **more}
        self.entries.append(entry)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    @property
    def seconds(self) -> float:
        """Seconds of use over all sessions."""
        actions = [e for e in self.entries if e["kind"] in ("action", "missed")]
        return sum({e["session"]: e["seconds"] for e in actions}.values())


def bench_soak(
    folder: Path,
    minutes: float = 60,
    seed: int = 0,
    on_minute: Callable[[float, int], None] = lambda minutes, complaints: None,
) -> dict[str, Any]:
    """Use the panels until the journal of a folder holds so many minutes.

    Args:
        folder: Folder of the journal, the notebook and its runs.
        minutes: Minutes of use, with earlier sessions.
        seed: Seed of the actions.
        on_minute: Called with the minutes so far and the number of complaints.
    """
    before, folder = conditions(), folder.resolve()
    while (journal := Journal(folder)).seconds < 60 * minutes:
        _session(journal, folder, minutes, random.Random(f"{seed} {journal.session}"), on_minute)
    return before | summary(journal)


def _session(
    journal: Journal, folder: Path, minutes: float, chance: random.Random, on_minute: Callable
) -> None:
    os.environ["QTHA_LAB_RUNS"] = str(folder / "runs")
    with open_notebook(CELLS, folder / "soak.ipynb") as (lab, home):
        user = User(lab, journal, chance)
        user.open()
        journal.began = time.monotonic()
        sampled = -SAMPLE_SECONDS
        while journal.seconds < 60 * minutes:
            user.act()
            if time.monotonic() - sampled > SAMPLE_SECONDS:
                sampled = time.monotonic()
                user.sample()
                complaints = sum(entry["kind"] == "complaint" for entry in journal.entries)
                on_minute(journal.seconds / 60, complaints)
        user.sample()
        for line in (home / "jupyter.log").read_text(errors="replace").splitlines():
            if re.search(r"\bERROR\b|Traceback|No such comm", line):
                journal.write("complaint", of="server", text=line[:300])


class User:
    """Simulated user of a page, whose actions are random."""

    def __init__(self, lab: Any, journal: Journal, chance: random.Random):
        self.lab, self.page, self.journal, self.chance = lab, lab.page, journal, chance
        self.launched = self.swept = -LAUNCH_SECONDS
        self.sentences: set[str] = set()
        self.stderr = 0
        self.listen(self.page)
        self.page.set_default_timeout(5000)
        self.weights = {
            self.slide: 26, self.choose: 12, self.enter: 12, self.press: 16, self.tick: 8,
            self.hover: 6, self.zoom: 4, self.scroll: 6, self.idle: 6, self.launch: 4,
            self.sweep: 1, self.theme: 2, self.resize: 2, self.rerun: 1, self.reload: 1,
            self.second_tab: 1,
        }  # fmt: skip

    def listen(self, page: Any) -> None:
        """Collect failed requests, crashes and warnings of comms and widgets."""
        complain = self.lab.complaints.append

        def of_request(request: Any) -> None:
            if "ERR_ABORTED" not in str(request.failure):  # the page was left
                complain(f"request failed: {request.url.split('?')[0]}: {request.failure}")

        def of_message(message: Any) -> None:
            if message.type in ("warning", "error"):
                self.journal.write(
                    "console", of=message.type, text=message.text[:600],
                    url=message.location["url"][:200],
                )  # fmt: skip

        page.on("requestfailed", of_request)
        page.on("crash", lambda _: complain("the page crashed"))
        page.on("dialog", lambda dialog: dialog.accept())
        page.on("console", of_message)

    def open(self) -> None:
        """Run the notebook, and wait for its panels."""
        self.lab.menu("Run", "Run All Cells")
        self._workbench_of(self.page).wait_for(timeout=180_000)
        self.page.locator(".qtha-figure[data-drawings]").nth(3).wait_for(timeout=180_000)

    def act(self) -> None:
        """Do one action, and record it with its complaints."""
        from playwright.sync_api import Error

        action = self.chance.choices([*self.weights], [*self.weights.values()])[0]
        try:
            self.journal.write("action", deed=action.__name__, of=action() or "")
        except (Error, AssertionError) as reason:  # the control is gone or covered
            text = str(reason).splitlines()[0][:200]
            self.journal.write("missed", deed=action.__name__, of=text)
            self.page.keyboard.press("Escape")
            dialog = self.page.locator(".jp-Dialog button.jp-mod-accept")
            if dialog.count():
                dialog.first.click(timeout=2000)
        self.page.wait_for_timeout(self.chance.choice((50, 200, 500, 1500)))
        self._record_complaints()

    def _record_complaints(self) -> None:
        while self.lab.complaints:
            text = self.lab.complaints.pop(0)
            before = [e.get("deed") for e in self.journal.entries[-3:] if e["kind"] != "complaint"]
            self.journal.write("complaint", of="page", text=text[:600], after=before)
        for sentence in set(self.page.evaluate(SENTENCES)) - self.sentences:
            self.sentences.add(sentence)
            kind = "complaint" if FAULT in sentence else "refusal"
            self.journal.write(kind, of="panel", text=sentence[:600])
        errors = self.lab.errors()
        if len(errors) > self.stderr:
            self.journal.write("complaint", of="kernel", text=errors[-1][-1500:])
        self.stderr = len(errors)

    def _pick(self, selector: str) -> tuple[Any, str]:
        name = self.page.evaluate(PICK, [selector, PANELS, self.chance.random(), SKIPPED])
        if name is None:
            raise AssertionError(f"no usable {selector}")
        control = self.page.locator("[data-soak]").first
        control.scroll_into_view_if_needed()
        return control, name

    @staticmethod
    def _workbench_of(page: Any) -> Any:
        return page.locator(".qtha-workbench .qtha-launch .mod-primary").first

    def slide(self) -> str:
        control, name = self._pick("input[type=range]")
        control.focus()
        for _ in range(self.chance.randint(1, 12)):
            keys = KEYS[:4] if self.chance.random() < 0.9 else KEYS
            self.page.keyboard.press(self.chance.choice(keys))
        return name

    def choose(self) -> str:
        control, name = self._pick("select")
        in_form = control.evaluate("e => !!e.closest('.qtha-setup')")
        before = control.input_value()
        control.select_option(index=self.chance.randrange(control.locator("option").count()))
        if in_form:  # restored, so that launched runs stay tiny
            self.page.wait_for_timeout(1000)
            control.select_option(value=before)
        return name

    def enter(self) -> str:
        fields = "input:not([type=range], [type=checkbox], [type=radio]), textarea"
        control, name = self._pick(fields)
        before = control.input_value()
        for text in (self.chance.choice(ENTRIES), before):
            control.click()
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.type(text) if text else self.page.keyboard.press("Delete")
            if self.chance.random() < 0.7:
                self.page.keyboard.press("Tab")
                self.page.wait_for_timeout(self.chance.choice((20, 600)))
        return name

    def press(self) -> str:
        control, name = self._pick(".qtha-button, .qtha-fold-head > button, [role=tab]")
        control.click()
        return name

    def tick(self) -> str:
        box = "input[type=checkbox]"
        control, name = self._pick(f".qtha-runs-table {box}, .qtha-explorer {box}")
        control.click()
        return name

    def hover(self) -> None:
        box = self._pick(".qtha-drawing")[0].bounding_box()
        for _ in range(8):
            x, y = (self.chance.random() * box[side] for side in ("width", "height"))
            self.page.mouse.move(box["x"] + x, box["y"] + y, steps=2)

    def zoom(self) -> None:
        box = self._pick(".nsewdrag")[0].bounding_box()
        ends = [(box["x"] + box["width"] * s, box["y"] + box["height"] * s) for s in (0.3, 0.7)]
        self.page.mouse.move(*ends[0])
        self.page.mouse.down()
        self.page.mouse.move(*ends[1], steps=4)
        self.page.mouse.up()
        if self.chance.random() < 0.5:
            self.page.mouse.dblclick(*ends[0])

    def scroll(self) -> None:
        self.page.mouse.wheel(0, self.chance.choice((-2000, -400, 400, 2000)))

    def idle(self) -> None:
        self.page.wait_for_timeout(self.chance.choice((1000, 4000)))

    def launch(self) -> str:
        if time.monotonic() - self.launched < LAUNCH_SECONDS:
            return "not yet"
        self.launched = time.monotonic()
        self._fill("steps", "2")
        self.page.wait_for_timeout(3000)
        bench = self.page.locator(".qtha-workbench").first
        summary = bench.locator(".qtha-summary")
        count = re.search(r"(\d+) runs", summary.inner_text())
        if count and int(count.group(1)) > 4:
            return self.rerun()
        bench.get_by_role("button", name=re.compile("^Launch")).first.click()
        return summary.inner_text()

    def sweep(self) -> str:
        if time.monotonic() - self.swept < SWEEP_SECONDS:
            return "not yet"
        self.swept = time.monotonic()
        self._fill("steps", "2")
        self._fill("learning rate", "0.001, 0.01")
        self.page.wait_for_timeout(4000)
        bench = self.page.locator(".qtha-workbench").first
        button = bench.get_by_role("button", name=re.compile("^Launch")).first
        label = button.inner_text()
        button.click()
        self.page.wait_for_timeout(1000)
        self._fill("learning rate", "0.001")
        return label

    def _fill(self, name: str, text: str) -> None:
        bench = self.page.locator(".qtha-workbench").first
        setup = bench.get_by_role("tab", name="Setup", exact=True)
        if setup.is_visible():
            setup.click()
        fold = {"steps": "Training", "learning rate": "lora"}[name]
        head = bench.get_by_role("button", name=re.compile(f"^{fold}")).locator("visible=true")
        if head.first.get_attribute("aria-expanded") == "false":
            head.first.click()
        bench.get_by_label(name, exact=True).locator("visible=true").first.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Tab")

    def theme(self) -> str:
        name = self.chance.choice(THEMES)
        self.lab.menu("Settings", "Theme", name)
        return name

    def resize(self) -> str:
        width = self.chance.choice(WIDTHS)
        self.page.set_viewport_size({"width": width, "height": 1000})
        return str(width)

    def rerun(self) -> str:
        source = self.chance.choice(CELLS[1:])[:18]
        self.lab.run_cell(source)
        self.page.wait_for_timeout(3000)
        return source

    def reload(self) -> None:
        self._save()
        self.page.reload()
        self.page.set_default_timeout(60_000)
        self.lab.wait_idle()
        self._workbench_of(self.page).wait_for()
        self.page.set_default_timeout(5000)

    def second_tab(self) -> None:
        self._save()
        tab = self.lab.second_tab()
        self.listen(tab)
        try:
            tab.set_default_timeout(60_000)
            self._workbench_of(tab).wait_for()
            tab.get_by_role("slider").first.focus()
            for _ in range(6):
                tab.keyboard.press(self.chance.choice(KEYS[:2]))
            tab.wait_for_timeout(3000)
        finally:
            tab.close()

    def _save(self) -> None:
        self.lab.menu("File", "Save Notebook")  # another page shows the saved file
        self.page.wait_for_timeout(2000)

    def sample(self) -> None:
        """Record the sizes of page and kernel after a garbage collection of the page."""
        session = self.page.context.new_cdp_session(self.page)
        try:
            session.send("HeapProfiler.collectGarbage")
            session.send("Performance.enable")
            metrics = session.send("Performance.getMetrics")["metrics"]
        finally:
            session.detach()
        values = {of["name"]: of["value"] for of in metrics if of["name"] in GROWTH}
        self.journal.write("memory", kernel=_kernel_bytes(), **values)


def _kernel_bytes() -> int:
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "ipykernel_launcher" in process.cmdline():
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def summary(journal: Journal) -> dict[str, Any]:
    """Count the entries of a journal.

    Returns:
        `minutes`, `sessions`, `deeds`, `missed`, `complaints` with their counts, `refusals`, and
        `memory`: for each session the first sample after five minutes, and the last.
    """
    entries = journal.entries
    of = {kind: [e for e in entries if e["kind"] == kind] for kind in {e["kind"] for e in entries}}
    memory = []
    for session in sorted({entry["session"] for entry in of.get("memory", ())}):
        samples = [entry for entry in of["memory"] if entry["session"] == session]
        late = [entry for entry in samples if entry["seconds"] > 300] or samples
        memory.append({"first": late[0], "last": late[-1]})
    return {
        "benchmark": "soak",
        "minutes": journal.seconds / 60,
        "sessions": len({entry["session"] for entry in entries}),
        "deeds": Counter(entry["deed"] for entry in of.get("action", ())),
        "missed": len(of.get("missed", ())),
        "complaints": Counter(f"{e['of']}: {e['text']}" for e in of.get("complaint", ())),
        "refusals": sorted({entry["text"] for entry in of.get("refusal", ())}),
        "memory": memory,
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per complaint; the caption states actions and growth."""
    deeds = ", ".join(f"{count} × {deed}" for deed, count in sorted(figures["deeds"].items()))
    growth = "; ".join(
        f"{(of['last']['seconds'] - of['first']['seconds']) / 60:.0f} min: "
        + ", ".join(
            f"{title} {of['first'][k] / unit:,.0f} → {of['last'][k] / unit:,.0f}"
            for k, (title, unit) in GROWTH.items()
        )
        for of in figures["memory"]
    )
    sessions = f"{figures['minutes']:.0f} minutes of use in {figures['sessions']} sessions"
    rows = [(text, str(count)) for text, count in figures["complaints"].items()]
    body = [("complaint", "times"), *(rows or [("none", "0")])]
    return [(f"{sessions}: {deeds}. {growth}", body)]
