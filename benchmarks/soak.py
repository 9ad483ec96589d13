"""The workbench and the explorers in use for an hour: what the page and the kernel complain of, and
what they grow by.

A real JupyterLab in headless Chromium. What is done is drawn from a seed: fields, sliders, menus,
buttons, ticks,
launches of runs of two steps, sweeps, themes, widths, reloads, a second tab. What happened is a
journal in a
folder; a soak that was cut off goes on in the same folder until its minutes are full.
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

from benchmarks.lab import open_notebook
from benchmarks.machine import commit, machine
from benchmarks.reporting import pipes

CELLS = (
    """import torch
from qtha_lab import Comparison
from qtha_lab.experiment import MethodChoice, Training
from qtha_lab.widgets import CircuitExplorer, EngineExplorer, MpoExplorer, UpdateExplorer, Workbench
layers = {f"model.layers.{k}.self_attn.q_proj": [2.0**-i for i in range(64)] for k in range(6)}
events = [{"kind": "spectrum", "step": step, "layers": layers} for step in range(0, 100, 5)]
tiny = Comparison(
    methods=[MethodChoice(name="qtha"), MethodChoice(name="lora")], training=Training(steps=2, spectrum_every=1)
)""",
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
# Not pressed by chance: what starts runs, which the soak does at its own pace, and what asks a
# model for text.
LEFT_ALONE = re.compile(
    r"^\s*(Launch.*|Resume.*|Run the rest.*|Confirm.*|Answer|Export|Save)\s*$"
).pattern
# Marks one of the controls that can be used now, by a number from 0 to 1; says what it is called.
PICK = """([selector, within, chance, leftAlone]) => {
    document.querySelectorAll('[data-soak]').forEach(e => delete e.dataset.soak);
    const skip = new RegExp(leftAlone);
    const usable = [...document.querySelectorAll(within)].flatMap(p => [...p.querySelectorAll(selector)]).filter(e =>
        e.checkVisibility() && !e.disabled && e.clientHeight > 0 && !skip.test(e.textContent));
    const one = usable[Math.floor(chance * usable.length)];
    if (!one) return null;
    one.dataset.soak = '1';
    return (one.ariaLabel || one.labels?.[0]?.textContent || one.textContent || one.type).trim().slice(0, 60);
}"""
SENTENCES = """() => [...document.querySelectorAll('.qtha-wrong')]
    .map(e => e.textContent.trim()).filter(Boolean)"""
FAULT = "fault of qtha-lab"
COUNTED = ("Nodes", "JSEventListeners", "JSHeapUsedSize")


class Journal:
    """What happened, a line each, in a folder; a later session goes on with it."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "soak.jsonl"
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a process that is killed tears the last line
        if whole != text:
            self.path.write_text(whole, encoding="utf-8")
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        self.session = 1 + max((entry["session"] for entry in self.entries), default=-1)
        self.began = time.monotonic()

    def write(self, kind: str, **more: Any) -> None:
        """Add a line."""
        seconds = round(time.monotonic() - self.began, 1)
        entry = {"session": self.session, "seconds": seconds, "kind": kind, **more}
        self.entries.append(entry)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    @property
    def seconds(self) -> float:
        """Of use, over all sessions."""
        last: dict[int, float] = {}
        for entry in self.entries:
            if entry["kind"] in ("action", "missed"):
                last[entry["session"]] = entry["seconds"]
        return sum(last.values())


def soak(
    folder: Path,
    minutes: float = 60,
    seed: int = 0,
    on_minute: Callable[[float, int], None] = lambda minutes, complaints: None,
) -> dict[str, Any]:
    """Use the panels until the folder's journal holds so many minutes.

    Args:
        folder: Takes the journal, the notebook and its runs; a journal that it holds is continued.
        minutes: Of use, the sessions before counted.
        seed: Of what is done; each session draws its own from it.
        on_minute: Told the minutes so far and the complaints of all.

    Returns:
        As `report`.
    """
    folder = folder.resolve()
    journal = Journal(folder)
    while journal.seconds < 60 * minutes:
        _session(journal, folder, minutes, random.Random(f"{seed} {journal.session}"), on_minute)
        journal = Journal(folder)
    return report(journal)


def _session(
    journal: Journal, folder: Path, minutes: float, chance: random.Random, on_minute
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
                on_minute(
                    journal.seconds / 60, sum(e["kind"] == "complaint" for e in journal.entries)
                )
        user.sample()
        for line in (home / "jupyter.log").read_text(errors="replace").splitlines():
            if re.search(r"\bERROR\b|Traceback|No such comm", line):
                journal.write("complaint", of="server", text=line[:300])


class User:
    """Somebody at the page whose next deed is a draw of chance."""

    def __init__(self, lab: Any, journal: Journal, chance: random.Random):
        self.lab, self.page, self.journal, self.chance = lab, lab.page, journal, chance
        self.complaints = lab.complaints
        self.launched = self.swept = -LAUNCH_SECONDS
        self.sentences: set[str] = set()
        self.stderr = 0
        self.listen(self.page)
        self.page.set_default_timeout(5000)
        self.deeds = {
            self.slide: 26,
            self.choose: 12,
            self.enter: 12,
            self.press: 16,
            self.tick: 8,
            self.hover: 6,
            self.zoom: 4,
            self.scroll: 6,
            self.wait: 6,
            self.launch: 4,
            self.sweep: 1,
            self.theme: 2,
            self.resize: 2,
            self.rerun: 1,
            self.reload: 1,
            self.second_tab: 1,
        }

    def listen(self, page: Any) -> None:
        """Note what goes wrong without a word in the console."""
        page.on("requestfailed", lambda request: self._of_request(request.url, request.failure))
        page.on("crash", lambda _: self.complaints.append("the page crashed"))
        page.on("dialog", lambda dialog: dialog.accept())
        page.on("console", lambda message: self._of_warning(message.type, message.text))

    def _of_warning(self, kind: str, text: str) -> None:
        """Of comms and widgets.

        JupyterLab also says how long a busy machine takes to load its plugins.
        """
        if kind == "warning" and re.search("comm|widget|model", text) and text[:7] != "Plugin ":
            self.complaints.append(f"warning: {text}")

    def _of_request(self, url: str, failure: Any) -> None:
        if "ERR_ABORTED" not in str(failure):  # of a page that was left
            self.complaints.append(f"request failed: {url.split('?')[0]}: {failure}")

    def open(self) -> None:
        """Run the notebook, and wait until its panels are there."""
        self.lab.menu("Run", "Run All Cells")
        self.page.locator(".qtha-workbench .qtha-methods .qtha-fold-note").first.wait_for(
            timeout=180_000
        )
        self.page.locator(".qtha-figure[data-drawings]").nth(3).wait_for(timeout=180_000)

    def act(self) -> None:
        """Do one thing; what it led to is written down."""
        from playwright.sync_api import Error

        deed = self.chance.choices([*self.deeds], [*self.deeds.values()])[0]
        try:
            of = deed()
            self.journal.write("action", deed=deed.__name__, of=of)
        except (
            Error,
            AssertionError,
        ) as reason:  # what was picked is gone, or lies under something
            self.journal.write("missed", deed=deed.__name__, of=str(reason).splitlines()[0][:200])
            self._dismiss()
        self.page.wait_for_timeout(self.chance.choice((50, 200, 500, 1500)))
        self._note()

    def _dismiss(self) -> None:
        self.page.keyboard.press("Escape")
        dialog = self.page.locator(".jp-Dialog button.jp-mod-accept")
        if dialog.count():
            dialog.first.click(timeout=2000)

    def _note(self) -> None:
        """Write down complaints, sentences of faults, and what the kernel wrote to standard error."""
        while self.complaints:
            text = self.complaints.pop(0)
            before = [e.get("deed") for e in self.journal.entries[-3:] if e["kind"] != "complaint"]
            self.journal.write("complaint", of="page", text=text[:600], after=before)
        for sentence in set(self.page.evaluate(SENTENCES)) - self.sentences:
            self.sentences.add(sentence)
            fault = FAULT in sentence
            self.journal.write("complaint" if fault else "refusal", of="panel", text=sentence[:600])
        errors = self.lab.errors()
        if len(errors) > self.stderr:
            self.journal.write("complaint", of="kernel", text=errors[-1][-1500:])
        self.stderr = len(errors)

    # ---- what is done

    def _pick(self, selector: str, within: str = PANELS) -> tuple[Any, str]:
        name = self.page.evaluate(PICK, [selector, within, self.chance.random(), LEFT_ALONE])
        if name is None:
            raise AssertionError(f"nothing here is {selector}")
        control = self.page.locator("[data-soak]").first
        control.scroll_into_view_if_needed()
        return control, name

    def slide(self) -> str:
        control, name = self._pick("input[type=range]")
        control.focus()
        for _ in range(self.chance.randint(1, 12)):
            self.page.keyboard.press(
                self.chance.choice(KEYS[:4] if self.chance.random() < 0.9 else KEYS)
            )
        return name

    def choose(self) -> str:
        control, name = self._pick("select")
        form = control.evaluate("e => !!e.closest('.qtha-setup')")
        before = control.input_value()
        count = control.locator("option").count()
        control.select_option(index=self.chance.randrange(count))
        if form:  # the entries are left as they were, so that what is launched stays tiny
            self.page.wait_for_timeout(1000)
            control.select_option(value=before)
        return name

    def enter(self) -> str:
        control, name = self._pick(
            "input:not([type=range], [type=checkbox], [type=radio]), textarea"
        )
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
        control, name = self._pick(".qtha-button")
        control.click()
        return name

    def tick(self) -> str:
        control, name = self._pick(
            ".qtha-runs-table input[type=checkbox], .qtha-explorer input[type=checkbox]"
        )
        control.click()
        return name

    def hover(self) -> str:
        control, _ = self._pick(".qtha-drawing")
        box = control.bounding_box()
        for _ in range(8):
            x, y = (self.chance.random() * box[side] for side in ("width", "height"))
            self.page.mouse.move(box["x"] + x, box["y"] + y, steps=2)
        return "figure"

    def zoom(self) -> str:
        control, _ = self._pick(".nsewdrag")
        box = control.bounding_box()
        ends = [(box["x"] + box["width"] * s, box["y"] + box["height"] * s) for s in (0.3, 0.7)]
        self.page.mouse.move(*ends[0])
        self.page.mouse.down()
        self.page.mouse.move(*ends[1], steps=4)
        self.page.mouse.up()
        if self.chance.random() < 0.5:
            self.page.mouse.dblclick(*ends[0])
        return "figure"

    def scroll(self) -> str:
        self.page.mouse.wheel(0, self.chance.choice((-2000, -400, 400, 2000)))
        return ""

    def wait(self) -> str:
        self.page.wait_for_timeout(self.chance.choice((1000, 4000)))
        return ""

    def launch(self) -> str:
        if time.monotonic() - self.launched < LAUNCH_SECONDS:
            return "not yet"
        self.launched = time.monotonic()
        self._enter_one("steps", "2")
        self.page.wait_for_timeout(3000)
        bench = self.page.locator(".qtha-workbench").first
        many = re.search(r"(\d+) runs", bench.locator(".qtha-summary").inner_text())
        if many and int(many.group(1)) > 4:
            return self.rerun()
        bench.get_by_role("button", name=re.compile("^Launch")).first.click()
        return bench.locator(".qtha-summary").inner_text()

    def sweep(self) -> str:
        if time.monotonic() - self.swept < SWEEP_SECONDS:
            return "not yet"
        self.swept = time.monotonic()
        self._enter_one("steps", "2")
        self._enter_one("learning_rate", "0.001, 0.01")
        self.page.wait_for_timeout(4000)
        bench = self.page.locator(".qtha-workbench").first
        button = bench.get_by_role("button", name=re.compile("^Launch")).first
        words = button.inner_text()
        button.click()
        self.page.wait_for_timeout(1000)
        self._enter_one("learning_rate", "0.001")
        return words

    def _enter_one(self, name: str, text: str) -> None:
        bench = self.page.locator(".qtha-workbench").first
        field = bench.get_by_label(name, exact=True).locator("visible=true").first
        field.click()
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
        source = self.chance.choice(CELLS[1:])
        self.lab.run_cell(source[:18])
        self.page.wait_for_timeout(3000)
        return source[:18]

    def reload(self) -> str:
        self.lab.menu("File", "Save Notebook")
        self.page.wait_for_timeout(2000)
        self.page.reload()
        self.page.set_default_timeout(60_000)
        self.lab.wait_idle()
        self.page.locator(".qtha-workbench .qtha-methods .qtha-fold-note").first.wait_for()
        self.page.set_default_timeout(5000)
        return ""

    def second_tab(self) -> str:
        self.lab.menu("File", "Save Notebook")  # a tab shows what the file has
        self.page.wait_for_timeout(2000)
        tab = self.lab.second_tab()
        self.listen(tab)
        try:
            tab.set_default_timeout(60_000)
            tab.locator(".qtha-workbench .qtha-methods .qtha-fold-note").first.wait_for()
            slider = tab.get_by_role("slider").first
            slider.focus()
            for _ in range(6):
                tab.keyboard.press(self.chance.choice(KEYS[:2]))
            tab.wait_for_timeout(3000)
        finally:
            tab.close()
        return ""

    # ---- what they grow by

    def sample(self) -> None:
        """Write down how large page and kernel are, after a collection of garbage in the page."""
        session = self.page.context.new_cdp_session(self.page)
        try:
            session.send("HeapProfiler.collectGarbage")
            session.send("Performance.enable")
            metrics = session.send("Performance.getMetrics")["metrics"]
        finally:
            session.detach()
        values = {entry["name"]: entry["value"] for entry in metrics}
        self.journal.write(
            "memory", kernel=_kernel_bytes(), **{name: values[name] for name in COUNTED}
        )


def _kernel_bytes() -> int:
    """Resident bytes of the kernels under this process."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "ipykernel_launcher" in process.cmdline():
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def report(journal: Journal) -> dict[str, Any]:
    """What a journal holds, counted.

    Returns:
        `machine`, `commit`, `minutes`, `sessions`, `deeds` (how often each), `complaints` (each
        text once, with
        how often), `refusals` (sentences for the person, no faults) and `memory`, of every session
        the first
        sample after five minutes and the last.
    """
    entries = journal.entries
    kinds = {
        kind: [e for e in entries if e["kind"] == kind]
        for kind in ("action", "complaint", "refusal", "memory")
    }
    memory = []
    for session in sorted({entry["session"] for entry in kinds["memory"]}):
        samples = [entry for entry in kinds["memory"] if entry["session"] == session]
        settled = [entry for entry in samples if entry["seconds"] > 300] or samples
        memory.append({"first": settled[0], "last": settled[-1]})
    return {
        "benchmark": "soak",
        "machine": machine(),
        "commit": commit(),
        "minutes": journal.seconds / 60,
        "sessions": len({entry["session"] for entry in entries}),
        "deeds": Counter(entry["deed"] for entry in kinds["action"]),
        "missed": sum(entry["kind"] == "missed" for entry in entries),
        "complaints": Counter(f"{e['of']}: {e['text']}" for e in kinds["complaint"]),
        "refusals": sorted({entry["text"] for entry in kinds["refusal"]}),
        "memory": memory,
    }


def table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text: each complaint once and how often, or that there was none."""
    rows = [("complaint", "times")]
    rows += [(text, str(count)) for text, count in result["complaints"].items()]
    return rows if len(rows) > 1 else [*rows, ("none", "0")]


def caption(result: dict[str, Any]) -> str:
    """How long, what was done, and how page and kernel grew."""
    deeds = ", ".join(f"{count} × {deed}" for deed, count in sorted(result["deeds"].items()))
    growth = "; ".join(
        f"{(m['last']['seconds'] - m['first']['seconds']) / 60:.0f} min: "
        + ", ".join(
            f"{words} {m['first'][k] / unit:,.0f} → {m['last'][k] / unit:,.0f}"
            for k, words, unit in GROWTH
        )
        for m in result["memory"]
    )
    return (
        f"{result['minutes']:.0f} minutes of use in {result['sessions']} sessions: {deeds}."
        f" {growth}"
    )


GROWTH = (
    ("kernel", "kernel MB", 1e6), ("JSHeapUsedSize", "page's heap MB", 1e6), ("Nodes", "nodes", 1),
    ("JSEventListeners", "listeners", 1),
)  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    """The caption and the table for a page."""
    return f"{caption(result)}\n\n{pipes(table(result))}\n"
