"""The panels without a browser: forms over every declaration, live curves from real event files, the workbench."""

import asyncio
import re
import threading

import ipywidgets as ipw
import pytest
from support.run_folders import run_folder, status, train, write
from support.waiting import PATIENCE
from torch import nn

from qtha_lab import __version__, runs
from qtha_lab.adapters import get_method, method_names
from qtha_lab.cost.preview import Cancelled, preview
from qtha_lab.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training
from qtha_lab.figures import curves
from qtha_lab.rundir import RunDir
from qtha_lab.rundir.events import history
from qtha_lab.settings import Setting, settings_of
from qtha_lab.simulators import engine_names
from qtha_lab.tasks import task_names, task_settings
from widgets.banner import Fault
from widgets.fold import Fold, reveal
from widgets.form import Form
from widgets.guard import ErrorLine
from widgets.live import LivePlot
from widgets.loop import Background, in_thread
from widgets.method_card import choice_settings
from widgets.methods import MethodCards
from widgets.name_picker import NamePicker
from widgets.past import groups
from widgets.run_list import RunList
from widgets.setup import Setup
from widgets.workbench import Workbench


def fail(error: Exception):
    """What no answer of a control is to come to."""
    raise error


DECLARED = {
    **{f"method {name}": get_method(name).settings() for name in method_names()},
    **{f"choice of {name}": choice_settings(name) for name in method_names()},
    **{f"task {name}": task_settings(name) for name in task_names()},
    "training": settings_of(Training),
    "experiment": settings_of(Experiment),
}
FLAT = {
    k: {n: s for n, s in v.items() if s.type not in (MethodChoice, Training)}
    for k, v in DECLARED.items()
}
each_method = pytest.mark.parametrize("method", method_names())
each_declaration = pytest.mark.parametrize("declared", FLAT.values(), ids=FLAT)


@each_declaration
def test_a_form_has_a_control_and_the_help_of_every_setting(declared):
    form = Form(declared)
    assert list(form.fields) == list(declared)
    for name, setting in declared.items():
        assert setting.help, name
        if setting.choices:
            assert {value for _, value in form[name].control.options} >= set(setting.choices)
        elif setting.type is bool:
            assert isinstance(form[name].control, ipw.Checkbox)


@each_declaration
def test_an_untouched_form_holds_the_defaults_and_has_changed_nothing(declared):
    form = Form(declared)
    assert form.values == {name: setting.default for name, setting in declared.items()}
    assert form.changed == {}
    assert form.errors == {}


@each_declaration
def test_a_value_outside_its_limits_is_refused_beside_the_field(declared):
    form = Form(declared)
    for name, setting in declared.items():
        if setting.type in (int, float) and setting.ge is not None:
            form[name].value = setting.ge - 1
            assert f"{name} must be at least" in form[name].help.value
            assert name in form.errors
            form[name].value = setting.default
            assert name not in form.errors


def test_entries_are_read_as_on_the_command_line():
    declared = {
        "rate": Setting("rate", float, None, optional=True),
        "dims": Setting("dims", tuple, None, optional=True),
        "seeds": Setting("seeds", list, [0]),
        "options": Setting("options", dict, {}),
        "name": Setting("name", str, ""),
    }
    form = Form(declared)
    entries = {"rate": "5e-5", "dims": "4, 8", "seeds": "0,1", "options": "turns=2", "name": "3"}
    for name, entry in entries.items():
        form[name].control.value = entry
    assert form.values == {
        "rate": 5e-5, "dims": (4, 8), "seeds": [0, 1], "options": {"turns": 2}, "name": "3",
    }  # fmt: skip
    form["rate"].control.value = "fast"
    assert form.errors == {"rate": "rate must be a number, not 'fast'"}
    form["rate"].control.value = ""
    assert form.values["rate"] is None


@each_declaration
def test_every_control_is_named_and_described(declared):
    for name, field in Form(declared).fields.items():
        parts = field.control.children if isinstance(field.control, NamePicker) else [field.control]
        assert all(part.description for part in parts), name
        assert parts[0].description == name
        assert all(part.tooltip for part in parts), name


@each_declaration
def test_help_is_plain_words(declared):
    for name, setting in declared.items():
        help = Form({name: setting})[name].help.value
        assert not re.search(r"`|\]\(|\*\*|https?:|\bNone\b", help), help
        assert len(setting.help.split()) > 2 or "." in setting.help, help
        assert help.lower().rstrip(".") != name.replace("_", " ")


@each_method
def test_learning_rate_and_layers_come_first_and_rarer_options_are_folded(method):
    form = (
        MethodCards([MethodChoice(name=method)], lambda: None, lambda: "tiny", fail).cards[0].form
    )
    assert list(form.fields)[:2] == ["learning_rate", "target_modules"]
    panels = [part for part in form.panel.children if not isinstance(part, Fold)]
    assert panels[:2] == [form["learning_rate"].panel, form["target_modules"].panel]
    assert len(panels) <= 12
    for fold in set(form.panel.children) - set(panels):
        assert not fold.unfolded
    assert not any(
        box.layout.max_height for box in everything(form.panel)
    )  # nothing scrolls inside


def everything(widget):
    yield widget
    for part in getattr(widget, "children", ()):
        yield from everything(part)


def test_a_name_can_be_picked_or_typed():
    form = Form({"model": Setting("model", str, "tiny")}, known={"model": ["tiny", "minilm"]})
    models = []
    form.observe(lambda: models.append(form.values["model"]))
    form["model"].control.pick.value = "minilm"
    form["model"].value = "owner/name"
    assert models[0] == "minilm"
    assert models[-1] == form.values["model"] == "owner/name"


@pytest.mark.parametrize("method", ["qtha", "qpa", "quantum_train"])
def test_an_engine_is_picked_from_those_that_are_here_or_typed(method):
    card = MethodCards([MethodChoice(name=method)], lambda: None, lambda: "tiny", fail).cards[0]
    engine = card.form["engine"]
    assert list(engine.control.pick.options)[:-1] == engine_names()
    engine.control.pick.value = "torch"
    assert card.choice().options == {"engine": "torch"}
    engine.value = "device:default.qubit(shots=100)"
    assert card.choice().label == f"{method}(engine='device:default.qubit(shots=100)')"
    engine.value = "lightening"
    assert "unknown engine 'lightening': did you mean 'lightning'?" in card.faults()[0].sentence
    assert card.faults()[0].control is engine.control


def test_methods_can_be_added_twice_and_removed():
    cards = MethodCards([MethodChoice(name="qtha")], lambda: None, lambda: "tiny", fail)
    cards.add.value = "lora"
    cards.add.value = "lora"
    cards.cards[2].form["r"].value = 2
    assert [choice.label for choice in cards.choices()] == ["qtha", "lora", "lora(r=2)"]
    for entry in list(cards.cards):
        entry.remove.click()
    with pytest.raises(ValueError, match="add at least one method"):
        cards.choices()


def test_cards_are_titled_by_their_label_and_two_equal_ones_differ():
    start = [MethodChoice.parse("qtha(r=4,waist=16,bond_dim=3)"), MethodChoice(name="lora")]
    cards = MethodCards(start, lambda: None, lambda: "tiny", fail)
    cards.add.value = "lora"
    titles = [card.title for card in cards.cards]
    assert titles == [start[0].label, "lora", "lora (2)"]
    cards.cards[2].form["learning_rate"].control.value = "0.01"
    assert cards.cards[2].title == "lora(learning_rate=0.01)"
    cards.cards[2].copy.click()
    assert cards.cards[3].title == "lora(learning_rate=0.01) (2)"
    assert cards.cards[3].remove.tooltip == "Remove lora(learning_rate=0.01) (2)"
    with pytest.raises(ValueError, match=r"^methods: lora\(learning_rate=0.01\) is given twice$"):
        cards.choices()
    cards.cards[3].form["r"].control.value = "none of it"
    assert cards.cards[3].title == "lora(learning_rate=0.01,r='none of it')"
    assert cards.cards[3].copy.disabled


def test_options_that_do_not_go_together_lead_to_name_picker_them():
    cards = MethodCards([MethodChoice(name="qtha")], lambda: None, lambda: "tiny", fail)
    form = cards.cards[0].form
    for name in ("use_mpo", "use_circuit", "use_linear"):
        form[name].value = False
    (fault,) = cards.faults()
    assert fault.sentence.startswith("qtha: use_mpo, use_circuit and use_linear are all off")
    assert fault.control is form["use_mpo"].control


def test_all_that_is_wrong_is_told_with_the_control_it_was_entered_in():
    setup = Setup(Comparison(methods="qtha, lora, lora(r=2)"), lambda: None, fail)
    setup.training["steps"].control.value = "0"
    setup.methods.cards[0].form["r"].control.value = "0"
    setup.methods.cards[2].form["r"].control.value = "-1"
    assert setup.faults() == [
        Fault("qtha: r must be at least 1, not 0", setup.methods.cards[0].form["r"].control),
        Fault("lora(r=-1): r must be at least 1, not -1", setup.methods.cards[2].form["r"].control),
        Fault("steps must be at least 1, not 0", setup.training["steps"].control),
    ]
    assert setup.fault("unknown model 'x'").control is setup.what["model"].control
    assert setup.fault("seeds[0] must be 1").control is setup.what["seeds"].control
    assert setup.fault("the folder is full").control is None


def test_the_way_to_a_control_opens_every_fold_around_it():
    setup = Setup(Comparison(methods="lora, qtha"), lambda: None, fail)
    card = setup.methods.cards[1]
    assert not card.unfolded
    assert reveal(card.form["use_mpo"].control, setup.panel)
    assert card.unfolded
    assert card.form.panel.children[-1].unfolded
    assert not reveal(ipw.Text(), setup.panel)


def test_controls_come_beside_the_method_as_it_is_set_up():
    start = [MethodChoice.parse("qtha(r=4,waist=16,bond_dim=3)"), MethodChoice.parse("lora(r=4)")]
    cards = MethodCards(start, lambda: None, lambda: "tiny", fail)
    cards.add.value = "qtha with its controls"
    labels = [choice.label for choice in cards.choices()]
    assert labels[:2] == [choice.label for choice in start]
    assert "qtha(r=4,waist=16,bond_dim=3,ansatz=product)" in labels
    assert labels[-1] == "lora(r=2)"  # 6,900 parameters; a LoRA of r=2 has 7,680
    assert len(labels) == len(set(labels))
    assert cards.add.value == cards.add.options[0]


def test_the_setup_gives_back_the_comparison_it_started_with():
    start = Comparison(
        task="definitions",
        task_options={"part": "noun"},
        methods="qtha(r=4,learning_rate=0.02), lora(target_modules=[q_proj])",
        seeds=[0, 3],
        training={"steps": 7, "train_rows": 50},
    )
    assert Setup(start, lambda: None, fail).comparison() == start


def test_a_bad_entry_is_one_sentence():
    setup = Setup(Comparison(methods="qtha, lora"), lambda: None, fail)
    setup.training["steps"].value = 0
    with pytest.raises(ValueError, match=r"^steps must be at least 1, not 0$"):
        setup.comparison()
    setup.training["steps"].value = 5
    setup.methods.cards[0].form["r"].value = 0
    with pytest.raises(ValueError, match=r"^qtha: r must be at least 1, not 0$"):
        setup.comparison()


def test_live_curves_grow_by_what_is_new(tmp_path):
    run = run_folder(tmp_path)
    plot = LivePlot([run])
    write(run, status("running", 0), train(1, 5.0), {"kind": "eval", "step": 0, "loss": 6.0})
    asyncio.run(plot.tick())
    assert list(plot.chart.curves[0].x) == [1]
    offset = plot.offsets[run.id]
    write(run, train(2, 4.5))
    asyncio.run(plot.tick())
    assert plot.offsets[run.id] > offset
    assert list(plot.chart.curves[0].y) == [5.0, 4.5]
    assert "lora starts at 6.000" in plot.chart.alt


def test_live_curves_of_a_resumed_run_are_its_history(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), *(train(step, 5.0 - step / 10) for step in range(1, 8)))
    write(run, status("stopped", 7), status("running", 5), train(6, 9.0))
    plot = LivePlot([run])
    asyncio.run(plot.tick())
    series = curves.from_events("lora", 0, history(run.events()[0]))[0]
    assert list(plot.chart.curves[0].x) == series["steps"] == [1, 2, 3, 4, 5, 6]
    assert list(plot.chart.curves[0].y) == series["values"]


def test_following_ends_with_the_runs_and_survives_a_torn_line(tmp_path):
    run = run_folder(tmp_path)
    write(run, status("running", 0), train(1, 5.0), status("finished", 1))
    with run.files.events.open("a") as file:
        file.write('{"kind": "train", "st')
    plot = LivePlot([run])
    asyncio.run(asyncio.wait_for(plot.follow(), timeout=PATIENCE))
    assert list(plot.chart.curves[0].x) == [1]


def test_rows_tell_the_state_and_enable_what_can_be_done(tmp_path):
    run = run_folder(tmp_path)
    clicks = []
    rows = RunList(clicks.append, clicks.append)
    rows.show([run])
    row = rows.rows[run.id]
    rows.update({run.id: runs.Status("running", 30, 100, "", 75.0)})
    assert row.state.value == "running · step 30 of 100 · 1 min 15 s left"
    assert (row.bar.value, row.stop.disabled, row.resume.disabled) == (30, False, True)
    rows.update({run.id: runs.Status("stopped", 30, 100)})
    assert (row.stop.disabled, row.resume.disabled) == (True, False)
    rows.update({run.id: runs.Status("diverged", 30, 100, "loss is <nan>")})
    assert "&lt;nan&gt;" in row.state.value
    assert not row.resume.disabled  # from the last checkpoint that is whole
    row.stop.click()
    assert clicks == [[run]]


def test_a_row_says_where_a_run_stopped_once(tmp_path):
    run = run_folder(tmp_path)
    rows = RunList(print, print)
    rows.show([run])
    rows.update({run.id: runs.Status("stopped", 20, 100, "stopped at step 20 of 100")})
    assert rows.rows[run.id].state.value == "stopped at step 20 of 100"


def test_new_states_and_quarters_of_a_run_are_read_aloud_and_no_more(tmp_path):
    run = run_folder(tmp_path)
    rows, sentences = RunList(print, print), []
    rows.announce = sentences.append
    rows.show([run])
    for state, step in [
        ("running", 1),
        ("running", 2),
        ("running", 25),
        ("running", 26),
        ("finished", 100),
    ]:
        rows.update({run.id: runs.Status(state, step, 100)})
    assert sentences == [
        "lora, seed 0: running · step 25 of 100.",
        "lora, seed 0: finished · step 100 of 100.",
    ]


def test_earlier_runs_are_found_as_the_comparisons_they_were(tmp_path):
    for name in ("first", "second"):
        for seed in (0, 1):
            for method in ("qtha", "lora"):
                run_folder(tmp_path, method, seed, name, steps=3)
    comparisons = groups(runs.list_runs(tmp_path))
    assert [len(group.runs) for group in comparisons] == [4, 4]
    for group in comparisons:
        assert len({run.experiment.name for run in group.runs}) == 1
    assert comparisons[0].comparison.seeds == [0, 1]
    assert {m.label for m in comparisons[0].comparison.methods} == {"qtha", "lora"}
    assert comparisons[0].title.endswith("tiny/qa · lora, qtha · 4 runs")


def test_an_earlier_comparison_comes_back_with_every_setting_it_had(tmp_path):
    described = Comparison(
        model="tiny",
        quantization="int8",
        task="qa",
        methods=["qtha(waist=16,r=4)", "lora"],
        seeds=[1, 2],
        training={"steps": 7, "precision": "bfloat16"},
    )
    for experiment in described.experiments():
        RunDir.create(experiment, tmp_path)
    (group,) = groups(runs.list_runs(tmp_path))
    assert group.comparison.replace(methods=described.methods) == described
    assert set(group.comparison.methods) == set(described.methods)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Refusal("no such model"), "no such model"),
        (
            RuntimeError("expected device meta but got cpu"),
            f"this is a fault of qtha-lab {__version__} (RuntimeError); details in {{log}}; please report it",
        ),
    ],
    ids=["refusal", "fault"],
)
def test_a_background_task_that_fails_is_shown_and_not_printed(
    error, sentence, capsys, monkeypatch, tmp_path
):
    line = ErrorLine()

    async def main():
        background = Background(line.report)

        async def work():
            raise error

        background.start("work", work)
        await asyncio.gather(*background.tasks.values())

    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "faults.log"))
    asyncio.run(main())
    assert line.text.startswith(sentence.format(log=tmp_path / "faults.log"))
    assert capsys.readouterr() == ("", "")


def test_a_cancelled_preview_ends_at_its_next_stage():
    stages = []
    entered, ended = threading.Event(), threading.Event()

    def work(cancelled) -> None:
        entered.set()

        def cancelled_after_second() -> bool:
            stages.append(cancelled())
            while (
                not stages[-1] and len(stages) == 2
            ):  # nobody waits any more: that is awaited here
                stages[-1] = cancelled()
            return stages[-1]

        with pytest.raises(Cancelled):
            preview(Experiment(method="lora"), cancelled_after_second)
        ended.set()

    async def main():
        background = Background(fail)

        async def first():
            await in_thread(work)

        async def second():
            await asyncio.to_thread(ended.wait, PATIENCE)

        background.start("preview", first)
        await asyncio.to_thread(entered.wait, PATIENCE)
        background.start("preview", second)
        await background.tasks["preview"]

    asyncio.run(main())
    assert ended.is_set()
    assert stages == [False, True]


def test_work_handed_over_from_another_thread_runs_on_the_kernel_loop():
    async def main():
        ran = asyncio.Event()
        background = Background(fail)

        async def work():
            ran.set()

        await asyncio.to_thread(background.start, "work", work)
        await asyncio.wait_for(ran.wait(), timeout=PATIENCE)

    asyncio.run(main())


def in_a_kernel(work):
    """Run a coroutine function given a workbench made inside a running loop, as a cell makes it."""

    async def main():
        bench = Workbench()
        try:
            return await work(bench)
        finally:
            bench.background.stop()

    return asyncio.run(main())


async def settled(bench):
    while tasks := list(bench.background.tasks.values()):
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_bad_entry_stands_in_the_banner_and_nothing_launches():
    async def work(bench):
        bench.setup.methods.cards[0].form["r"].value = 0
        bench.background.start("launch", bench.launch)
        await settled(bench)
        return [link.description for link in bench.banner.links.children], bench.banner.refusing

    links, refusing = in_a_kernel(work)
    assert links == ["qtha: r must be at least 1, not 0"]
    assert refusing
    assert runs.list_runs() == []


def test_the_preview_counts_warns_and_draws_before_anything_is_launched():
    async def work(bench):
        await settled(bench)
        overview = bench.overview
        simulated = overview.simulation.value + overview.engines.value
        return (
            overview.table.value,
            overview.warnings.value,
            overview.circuits.value,
            bench.code[2].value,
            simulated,
        )

    table, warnings, circuits, command, simulated = in_a_kernel(work)
    assert "30,720" in table  # LoRA r=8 on q, v of 6 layers: 6 · 8 · ((192 + 192) + (192 + 64))
    assert "QTHA trains" in warnings
    assert "RY(x0)" in circuits
    assert "circuits / step" in simulated
    assert "Engine cpu, chosen: the fastest on CPU tensors (qtha)." in simulated
    assert "qtha-lab compare" in command


def test_previews_at_once_leave_the_banner_empty_and_the_kernel_whole():
    async def work(bench):
        for number in range(3):
            bench.background.start(f"preview {number}", bench.refresh)
        await settled(bench)
        return bench.banner.text.value, bench.overview.table.value

    banner, table = in_a_kernel(work)
    assert banner == ""
    assert "30,720" in table
    assert nn.Linear(1, 1).weight.device.type == "cpu"


def test_a_new_workbench_shows_the_runs_of_an_earlier_one(tmp_path):
    for method in ("lora(r=2)", "qtha(r=4)"):
        run = run_folder(tmp_path / "runs", method, name="before", steps=9)
        write(run, status("running", 0), train(1, 5.0), status("stopped", 1))

    async def work(bench):
        await bench.watch.follow()
        start = bench.setup.comparison()
        return [list(c.y) for c in bench.watch.plot.chart.curves], start, bench.banner.text.value

    values, start, banner = in_a_kernel(work)
    assert values[0] == values[2] == [5.0]
    assert (start.training.steps, [m.label for m in start.methods]) == (
        9,
        ["lora(r=2)", "qtha(r=4)"],
    )
    assert "tiny/qa · lora(r=2), qtha(r=4) · 2 runs" in banner


def test_a_panel_has_a_still_twin_and_a_sentence_for_when_no_kernel_answers(tmp_path, monkeypatch):
    run = run_folder(tmp_path / "runs", "lora(r=2)", name="before", steps=9)
    write(run, status("running", 0), train(1, 5.0), status("stopped", 1))
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: bundles.append(data))

    async def work(bench):
        bench._ipython_display_()

    in_a_kernel(work)
    note, panel = bundles
    assert "run this cell again" in note["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in panel
    for kind in ("text/html", "text/plain"):
        assert "lora(r=2)" in panel[kind]
        assert "step 1 of 9" in panel[kind]


def test_a_panel_can_stand_in_any_box():
    async def work(bench):
        return ipw.HBox([bench]).children == (bench,)

    assert in_a_kernel(work)


def test_entries_settle_into_the_code_and_the_banner_names_every_wrong_field():
    async def work(bench):
        bench.setup.methods.cards[1].form["r"].control.value = "0"
        bench.setup.training["steps"].control.value = "-3"
        await settled(bench)
        sentences = [link.description for link in bench.banner.links.children]
        announcement = bench.aria.sentence
        bench.banner.links.children[1].click()
        opened = bench.setup.panel.children[-1].unfolded
        bench.setup.methods.cards[1].form["r"].control.value = "2"
        bench.setup.training["steps"].control.value = "3"
        await settled(bench)
        return sentences, announcement, opened, bench.banner.refusing, bench.code[2].value

    sentences, announcement, opened, refusing, code = in_a_kernel(work)
    assert sentences == ["lora: r must be at least 1, not 0", "steps must be at least 1, not -3"]
    assert all(sentence in announcement for sentence in sentences)
    assert opened
    assert not refusing
    assert "lora(r=2)" in code
