"""The form of the workbench in a real JupyterLab.

By keyboard, by screen reader, in narrow windows. A restart of its kernel is in test_browser.py.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import Lab, open_lab
from support.workbench_page import (
    built,
    button,
    enter,
    fold_button,
    ready,
    unfold,
    unnamed,
    violations,
)

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PANEL = """import os
from pathlib import Path
from widgets import Workbench

os.environ["QTHA_LAB_RUNS"] = Path("runs_folder.txt").read_text()
Workbench()"""
BUSY = """import time
while not Path("go_on.txt").exists():
    time.sleep(0.05)"""
EXPLORERS = """import torch
from IPython.display import display
from qtha_lab.runs import run as runs
from widgets import CircuitExplorer, EngineExplorer, MpoExplorer, UpdateExplorer
spectrum = {"kind": "spectrum", "step": 5, "layers": {"0.q": [2.0, 1.0]}}
display(CircuitExplorer(n_qubits=2), MpoExplorer({"swap": torch.eye(4)[[0, 2, 1, 3]]}))
display(UpdateExplorer({"lora": [spectrum, spectrum | {"step": 6}]}), UpdateExplorer(runs.list_runs()))
display(EngineExplorer("qtha", 2, 1, 4))"""
# Controls and words that reach past the panel's right edge; the plot's own buttons are the plot's.
TOO_WIDE = """() => {
    const panel = document.querySelector('.qtha-workbench');
    const edge = panel.getBoundingClientRect().right + 1;
    return [...panel.querySelectorAll('input, select, button, .qtha-text, .qtha-name')]
        .filter(e => e.offsetParent && !e.closest('.js-plotly-plot, .qtha-scroll, .qtha-grid-view'))
        .filter(e => e.getBoundingClientRect().right > edge).map(e => e.outerHTML);
}"""
# The middle heights of a run's name and of its two buttons, read at one moment.
MIDDLES = """row => [...row.querySelectorAll('.qtha-name, button')].filter(e => e.offsetParent).map(e => {
    const box = e.getBoundingClientRect();
    return (box.top + box.bottom) / 2;
})"""
OPEN, SHUT = re.compile("mod-active"), re.compile(r"^(?!.*mod-active)")
# Elements with a scroller of their own inside the form.
SCROLLERS = """() => [...document.querySelectorAll('.qtha-form, .qtha-form *')]
    .filter(e => e.offsetParent && e.scrollHeight > e.clientHeight + 1
        && ['auto', 'scroll'].includes(getComputedStyle(e).overflowY)).map(e => e.className)"""


# A workbench of the test before, until its cell is run again.
LEAVE = (
    "() => document.querySelectorAll('.qtha-workbench').forEach(e => { e.dataset.left = 'yes'; })"
)


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    """A page with a cell of the workbench and one of the explorers, for all tests of this file."""
    notebook = tmp_path_factory.mktemp("form") / "page.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in (PANEL, BUSY, EXPLORERS)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook, QTHA_LAB_PROFILE="ci") as lab:
        yield lab


@contextlib.contextmanager
def workbench(lab: Lab, folder: Path, size=(1400, 2000)) -> Iterator[Locator]:
    """The workbench's cell is run anew, over the runs of this test's folder."""
    (lab.notebook.parent / "runs_folder.txt").write_text(str(folder / "runs"))
    lab.complaints.clear()
    with lab.failures_noted(folder):
        lab.page.set_viewport_size({"width": size[0], "height": size[1]})
        lab.page.evaluate(LEAVE)
        lab.run_cell("Workbench()")
        expect(lab.page.locator(".qtha-workbench[data-left]")).to_have_count(0)
        bench = lab.page.locator(".qtha-workbench").first
        ready(bench)
        yield bench


def stopped_run(folder: Path, method: str) -> None:
    """A run that stopped at step 2 of 9."""
    files = RunDir.create(Experiment(method=method, training={"steps": 9}), folder)
    log = EventLog(files.events)
    log.append("status", state="running", step=0, message="")
    for step in (1, 2):
        log.append("train", step=step, loss=5.0, seconds=0.1)
    log.append("status", state="stopped", step=2, message="stopped at step 2 of 9")
    log.close()


def tab_to(page, name: str) -> None:
    """Press Tab until the control of that name has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED).strip().startswith(name):
            return
    raise AssertionError(f"Tab never came to {name}")


FOCUSED = """() => document.activeElement.labels?.[0]?.textContent
    || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"""


def test_training_is_set_and_a_run_launched_by_keyboard_alone(lab, tmp_path):
    with workbench(lab, tmp_path) as bench:
        page = lab.page
        bench.get_by_label("preset", exact=True).focus()
        tab_to(page, "Training")
        fold = fold_button(bench, "Training")
        for state in (OPEN, SHUT, OPEN):
            page.keyboard.press("Enter")
            expect(fold).to_have_class(state)
        tab_to(page, "steps")
        page.keyboard.press("Control+a")
        page.keyboard.type("1")
        tab_to(page, "Python, YAML, command, notebook")
        page.keyboard.press("Space")
        tab_to(page, "Show as a command")
        page.keyboard.press("Space")
        expect(bench.locator(".qtha-code", has_text="--steps 1")).to_be_visible()
        button(bench, "Launch").focus()
        page.keyboard.press("Enter")
        expect(bench.locator(".qtha-state").nth(1)).to_contain_text("of 1")
        expect(bench.get_by_role("status")).not_to_be_empty()
        for row in (0, 1):
            expect(bench.locator(".qtha-state").nth(row)).to_contain_text("finished")
        assert lab.complaints == []


# Numbers every control that is in sight and can be used; the plot's own buttons are the plot's.
NUMBER = """() => [...document.querySelector('.qtha-workbench').querySelectorAll('input, select, textarea, button')]
    .filter(e => e.offsetParent && !e.disabled && e.tabIndex >= 0 && !e.matches('.modebar-btn'))
    .map((e, i) => e.dataset.stop = i).length"""
# The number of what has the focus, its name, and what is wrong with how it is seen; null outside
# the panel.
STOP = """() => {
    const e = document.activeElement;
    if (!e.closest('.qtha-workbench')) return null;
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    const over = document.elementFromPoint(box.left + Math.min(box.width / 2, 30), box.top + Math.min(box.height / 2, 12));
    const flaws = [];
    if (style.outlineStyle !== 'solid' || parseFloat(style.outlineWidth) < 2) flaws.push('no outline');
    if (!over || !(e.contains(over) || over.contains(e) || e.labels?.[0]?.contains(over))) flaws.push(`under ${over?.className}`);
    return [e.dataset.stop ?? '', (e.labels?.[0]?.textContent || e.ariaLabel || e.textContent).slice(0, 40), flaws.join()];
}"""


def test_tab_comes_to_every_control_and_where_the_focus_is_can_be_seen(lab, tmp_path):
    for method in ("qtha(r=4)", "lora(r=2)"):
        stopped_run(tmp_path / "runs", method)
    with workbench(lab, tmp_path, size=(1400, 900)) as bench:
        unfold(bench, "Training", "Sweep", "Python, YAML", "Show as YAML")
        bench.get_by_role("tab", name="Compare").click()
        expect(bench.locator(".qtha-grid tbody input").first).to_be_visible()
        expect(bench.locator(".qtha-views .js-plotly-plot").first).to_be_visible()
        count, stops = lab.page.evaluate(NUMBER), []
        bench.locator("[data-stop='0']").focus()
        for key in ("Shift+Tab", "Tab"):  # the ring is drawn for the keyboard alone
            lab.page.keyboard.press(key)
        while (stop := lab.page.evaluate(STOP)) and len(stops) < 2 * count + 50:
            for _ in range(20):
                if not stop[2]:
                    break
                # a figure drawn just now moves what is below it, out of sight even, late on a busy
                # machine
                lab.page.wait_for_timeout(100)
                lab.page.evaluate("document.activeElement.scrollIntoView({block: 'nearest'})")
                stop = lab.page.evaluate(STOP)
            stops.append(stop)
            lab.page.keyboard.press("Tab")
        assert [stop for stop in stops if stop[2]] == []
        assert {str(number) for number in range(count)} - {stop[0] for stop in stops} == set()
        assert count > 50
        assert lab.complaints == []


def test_a_click_on_a_fold_beside_a_busy_kernel_opens_it_afterwards(lab, tmp_path):
    with workbench(lab, tmp_path) as bench:
        go_on = lab.notebook.parent / "go_on.txt"
        lab.run_cell("go_on.txt")
        lab.page.locator(".jp-StatusBar-TextItem", has_text="| Busy").wait_for()
        try:
            fold = fold_button(bench, "Training")
            steps = bench.get_by_label("steps", exact=True)
            expect(steps).to_be_hidden()
            fold.click()
        finally:
            go_on.touch()
        enter(bench, "steps", "3")
        expect(bench.locator(".qtha-summary")).to_contain_text("2 runs")
        unfold(bench, "Python, YAML", "Show as a command")
        expect(bench.locator(".qtha-code", has_text="--steps 3")).to_be_visible()
        expect(steps).to_have_value("3")
        assert lab.complaints == []


def test_no_control_is_nameless_and_axe_finds_nothing_grave_in_light_and_dark(lab, tmp_path):
    stopped_run(tmp_path / "runs", "qtha(r=4)")
    parts = (".qtha-workbench", ".qtha-explorer")
    with workbench(lab, tmp_path) as bench:
        page = lab.page
        unfold(
            bench, "Training", "Sweep", "Cost, engines", "Circuits", "Python, YAML", "Show as YAML"
        )
        enter(bench, "steps", "0")
        expect(bench.locator(".qtha-faults button")).to_have_count(1)
        lab.run_cell("CircuitExplorer")
        expect(page.locator(".qtha-explorer")).to_have_count(5)
        for panel in page.locator(".qtha-explorer").all():
            expect(panel.locator(".qtha-figure[data-drawings]").first).to_be_visible()
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            lab.menu("Settings", "Theme", theme)
            expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
            assert [(part, flaw) for part in parts for flaw in violations(page, part)] == []
            assert [(part, flaw) for part in parts for flaw in unnamed(page, part)] == []


def test_every_wrong_field_is_named_and_a_click_leads_to_it(lab, tmp_path):
    with workbench(lab, tmp_path) as bench:
        fold = fold_button(bench, "Training")
        unfold(bench, "Training", "lora")
        for steps in ("7", "x", "0.5", "", "0"):  # fast, wrong and right
            enter(bench, "steps", steps)
        enter(bench, "learning rate", "fast")
        fold.click()
        links = bench.locator(".qtha-faults button")
        expect(links).to_have_text(
            [
                "lora: learning rate must be a number, got 'fast'.",
                "steps must be at least 1, got 0.",
            ]
        )
        expect(button(bench, "Launch")).to_be_disabled()
        expect(bench.locator(".qtha-summary")).to_contain_text("change 2 entries")
        links.nth(1).click()
        expect(bench.get_by_label("steps", exact=True)).to_be_focused()
        enter(bench, "steps", "12")
        enter(bench, "learning rate", "0.02")
        expect(links).to_have_count(0)
        expect(fold_button(bench, "lora")).to_have_attribute(
            "title", re.compile("learning_rate=0.02")
        )
        unfold(bench, "Python, YAML", "Show as a command")
        code = bench.locator(".qtha-code", has_text="--steps 12")
        expect(code.filter(has_text="learning_rate=0.02")).to_have_count(1)
        assert lab.complaints == []


def test_every_field_can_be_typed_into_in_quick_succession(lab, tmp_path):
    with workbench(lab, tmp_path) as bench:
        unfold(
            bench, "lora", "qtha", "Training", "Model, task", "Python, YAML", "Show as a command"
        )
        for fold in bench.get_by_role("button", name="more settings").all():
            if fold.is_visible():
                fold.click()
        built(bench)
        fields = [
            field
            for field in bench.locator(".qtha-setup .qtha-field input[type=text]").all()
            if field.is_visible()
        ]
        values = [field.input_value() for field in fields]
        for field in fields:
            field.click()
            lab.page.keyboard.type("zz")
        expect(bench.locator(".qtha-faults button")).not_to_have_count(0)
        for field, value in zip(fields, values, strict=True):
            field.fill(value)
        lab.page.keyboard.press("Tab")
        expect(bench.locator(".qtha-faults button")).to_have_count(0)
        expect(bench.locator(".qtha-code", has_text="qtha-lab compare")).to_have_count(1)
        expect(bench.locator(".qtha-stale")).to_have_count(0)
        assert lab.complaints == []


def test_rows_and_fields_fit_from_the_default_width_down_to_500_pixels(lab, tmp_path):
    for method in ("qtha(r=4,waist=16,bond_dim=3,init=balanced,learning_rate=0.01)", "lora(r=2)"):
        stopped_run(tmp_path / "runs", method)
    with workbench(lab, tmp_path, size=(1400, 1000)) as bench:
        row = bench.locator(".qtha-run").first
        expect(row.locator(".qtha-state")).to_have_text("stopped at step 2 of 9")
        name, resume = row.evaluate(MIDDLES)
        assert name == pytest.approx(resume, abs=12)  # in the line of its run
        lab.page.keyboard.press("Control+b")  # folds the file browser away
        for width in (1400, 900, 700, 500):
            lab.page.set_viewport_size({"width": width, "height": 1000})
            lab.page.wait_for_function(f"() => ({TOO_WIDE})().length === 0")
            assert lab.page.evaluate(SCROLLERS) == []


def test_launch_stays_in_sight_while_the_form_is_read(lab, tmp_path):
    with workbench(lab, tmp_path, size=(1400, 800)) as bench:
        launch = button(bench, "Launch")
        bench.get_by_label("find", exact=True).scroll_into_view_if_needed()
        expect(launch).to_be_in_viewport(ratio=1)
        unfold(bench, "Training")
        bench.get_by_label("steps", exact=True).scroll_into_view_if_needed()
        expect(launch).to_be_in_viewport(ratio=1)


def test_a_setting_is_found_by_a_part_of_its_name_wherever_it_is_folded(lab, tmp_path):
    with workbench(lab, tmp_path) as bench:
        enter(bench, "find", "init_scale")
        field = bench.get_by_label("initialisation scale", exact=True)
        expect(field).to_be_visible()
        expect(field).to_be_focused()


def test_a_search_without_a_match_says_so_and_one_by_label_goes_there(lab, tmp_path):
    with workbench(lab, tmp_path) as bench:
        find = bench.get_by_label("find", exact=True)
        enter(bench, "find", "xyz")
        expect(bench.locator(".qtha-setup-head .qtha-error")).to_have_text(
            "No setting matches 'xyz'. Write a part of its name, such as rate."
        )
        expect(find).to_have_value("xyz")
        enter(bench, "find", "evaluate every")  # eval_every, by its label on the page
        expect(bench.get_by_label("evaluate every", exact=True)).to_be_focused()
        expect(bench.locator(".qtha-setup-head .qtha-error")).to_be_hidden()
        expect(find).to_have_value("")
