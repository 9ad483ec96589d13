"""The workbench as a whole: background work, earlier runs, banner, preview and code."""

import asyncio
import threading
from pathlib import Path

import ipywidgets as ipw
import pytest
from support.run_folders import finish, run_folder, status, train, write
from support.waiting import PATIENCE
from support.workbench_kernel import fail, in_a_kernel, settled
from torch import nn

from qtha_lab import __version__
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.cost.preview import Cancelled, preview
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.figures.loss_against_rate import End, loss_against_rate
from qtha_lab.runs.launch import in_launch_order
from qtha_lab.runs.run import list_runs
from widgets.kit.boxes import ErrorText
from widgets.kit.loop import Background, in_thread
from widgets.workbench.history import each_once, groups
from widgets.workbench.verdict import VerdictPane
from widgets.workbench.watch import Watch
from widgets.workbench.workbench import Workbench


def test_earlier_runs_are_found_as_the_comparisons_they_were(tmp_path):
    for name in ("first", "second"):
        for seed in (0, 1):
            for method in ("qtha", "lora"):
                run_folder(tmp_path, method, seed, name, steps=3)
    comparisons = groups(list_runs(tmp_path))
    assert [len(group.runs) for group in comparisons] == [4, 4]
    for group in comparisons:
        assert len({run.experiment.name for run in group.runs}) == 1
    assert comparisons[0].comparison.seeds == [0, 1]
    assert {m.label for m in comparisons[0].comparison.methods} == {"qtha", "lora"}


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
    (group,) = groups(list_runs(tmp_path))
    assert group.comparison.replace(methods=described.methods) == described
    assert set(group.comparison.methods) == set(described.methods)


def test_the_methods_of_an_earlier_comparison_stand_in_the_order_of_their_launch(tmp_path):
    """The others are held against the first; ids of one second would sort them by name."""
    made = []
    for method in ("qtha", "lora", "dora"):
        run = run_folder(tmp_path, method)
        write(run, status("queued", 0))
        made.append(run.id)
    (group,) = groups(list_runs(tmp_path))
    assert [run.id for run in in_launch_order(group.runs)] == made
    with (tmp_path / made[0] / "events.jsonl").open("w") as file:
        file.write("half a li")
    second = [name for name in made if name[:15] == made[0][:15]]
    assert [run.id for run in in_launch_order(group.runs)][: len(second)] == [*second[1:], made[0]]


def test_a_run_repeated_with_the_same_seed_is_no_second_seed(tmp_path):
    losses = {}
    for seed, loss in ((0, 4.0), (0, 4.0), (1, 4.4)):
        run = run_folder(tmp_path, "lora", seed)
        write(run, status("running", 0), {"kind": "eval", "step": 0, "loss": 5.0})
        write(run, {"kind": "eval", "step": 100, "loss": loss})
        finish(run, eval_loss=loss, train_loss=loss)
        losses[run.id] = loss
    listed = list_runs(tmp_path)
    counted = each_once(listed)
    assert [run.experiment.seed for run in counted] == [1, 0]
    assert max(run.id for run in listed if run.experiment.seed == 0) in [r.id for r in counted]

    async def shown():
        watch = Watch(Background(print))
        watch.show(listed)
        await watch.plot.tick()
        verdict = VerdictPane(print)
        await verdict.renew(listed)
        watch.background.stop()
        return watch, verdict

    watch, verdict = asyncio.run(shown())
    assert "4.200" in verdict.results.value  # the mean of seeds 0 and 1, not of three runs (4.133)
    assert "1 run with the method and seed of a newer one left out" in verdict.remarks.value
    assert "(3 runs of 2 seeds, 4.000 to 4.400)" in watch.plot.picture.alt
    ends = [
        End(label="lora", seed=r.experiment.seed, learning_rate=0.01, value=losses[r.id])
        for r in listed
    ]
    assert "(2 seeds)" in loss_against_rate(ends).alt


def test_all_can_be_stopped_or_resumed_only_where_a_run_can(tmp_path):
    async def offered(*shown):
        bench = Workbench(attach=shown)
        while "follow" in bench.background.tasks:
            await asyncio.sleep(0)
            if shown and bench.watch.list.rows[shown[0].id].shown_state:
                bench.background.stop()
        return bench.watch.stop_all.disabled, bench.watch.resume_all.disabled

    run = run_folder(tmp_path, "lora", steps=3)
    write(run, status("running", 0), train(1, 5.0), status("stopped", 1))
    assert asyncio.run(offered()) == (True, True)
    assert asyncio.run(offered(run)) == (True, False)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Refusal("no such model"), "no such model"),
        (
            RuntimeError("expected device meta but got cpu"),
            (
                f"this is a fault of qtha-lab {__version__} (RuntimeError); details in {{log}};"
                " please report it"
            ),
        ),
    ],
    ids=["refusal", "fault"],
)
def test_a_background_task_that_fails_is_shown_and_not_printed(
    error, sentence, capsys, monkeypatch, tmp_path
):
    line = ErrorText()

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


def test_a_double_click_does_a_thing_once():
    answers = []

    async def answer():
        await asyncio.sleep(0)
        answers.append("launched")

    async def work():
        background = Background(fail)
        for _ in range(2):
            background.start_once("launch", answer)
            await asyncio.sleep(0)
        await asyncio.gather(*background.tasks.values())
        background.start_once("launch", answer)
        await asyncio.gather(*background.tasks.values())

    asyncio.run(work())
    assert answers == ["launched"] * 2  # the third click came after the answer


def test_a_bad_entry_stands_in_the_banner_and_nothing_launches():
    async def work(bench):
        bench.setup.methods.cards[0].form["r"].value = 0
        bench.background.start("launch", bench.launch)
        await settled(bench)
        return [link.description for link in bench.banner.links.children], bench.banner.refusing

    links, refusing = in_a_kernel(work)
    assert links == ["lora: r must be at least 1, got 0."]
    assert refusing
    assert list_runs() == []


@pytest.mark.slow
def test_the_preview_counts_warns_and_draws_before_anything_is_launched():
    async def work(bench):
        await settled(bench)
        overview = bench.costs.overview
        simulated = overview.simulation.value + overview.engines.value
        return (
            overview.table.value,
            overview.warnings.value,
            overview.circuits.value,
            bench.code[2].value,
            simulated,
        )

    start = Comparison(methods="qtha(r=4,waist=64),lora")
    table, warnings, circuits, command, simulated = in_a_kernel(work, start)
    assert "30,720" in table  # LoRA r=8 on q, v of 6 layers: 6 · 8 · ((192 + 192) + (192 + 64))
    assert "qtha trains" in warnings
    assert "RY(x0)" in circuits
    assert "circuits / step" in simulated
    assert "Engine cpu, chosen: the fastest on CPU tensors (qtha" in simulated
    assert "qtha-lab compare" in command


@pytest.mark.slow
def test_previews_at_once_leave_the_banner_empty_and_the_kernel_whole():
    async def work(bench):
        for number in range(3):
            bench.background.start(f"preview {number}", bench.refresh)
        await settled(bench)
        return bench.banner.text.value, bench.costs.overview.table.value

    banner, table = in_a_kernel(work)
    assert banner == ""
    assert "7,680" in table  # LoRA r=2, the default preset
    assert nn.Linear(1, 1).weight.device.type == "cpu"


def test_a_new_workbench_shows_the_runs_of_an_earlier_one(tmp_path):
    for method in ("lora(r=2)", "qtha(r=4)"):
        run = run_folder(tmp_path / "runs", method, name="before", steps=9)
        write(run, status("running", 0), train(1, 5.0), status("stopped", 1))

    async def work(bench):
        await bench.watch.follow()
        start = bench.setup.comparison()
        return [trace["y"] for trace in bench.watch.plot.picture.traces], start

    values, start = in_a_kernel(work)
    assert values[0] == values[3] == [5.0]
    assert (start.training.steps, [m.label for m in start.methods]) == (
        9,
        ["lora(r=2)", "qtha(r=4)"],
    )


def test_earlier_comparisons_are_a_list_from_which_the_form_is_filled(tmp_path):
    for method, name in (("lora(r=2)", "first"), ("qtha(r=4)", "second")):
        run_folder(tmp_path / "runs", method, name=name, steps=9)

    async def work(bench):
        offered = bench.setup.preset.options[-2:]
        methods = []
        for title in offered:
            bench.setup.preset.value = title
            methods.append([m.label for m in bench.setup.comparison().methods])
        return offered, methods

    offered, methods = in_a_kernel(work)
    assert [title.rpartition(" · ")[2] for title in offered] == ["qtha", "lora"]
    assert methods == [["qtha(r=4)"], ["lora(r=2)"]]


def test_a_panel_has_a_static_equivalent_and_a_sentence_for_when_no_kernel_answers(
    tmp_path, monkeypatch
):
    run = run_folder(tmp_path / "runs", "lora(r=2)", name="before", steps=9)
    write(run, status("running", 0), train(1, 5.0), status("stopped", 1))
    bundles = []
    show = "widgets.kit.static_output.display"
    monkeypatch.setattr(show, lambda data, raw, display_id=None: bundles.append(data))

    async def work(bench):
        bench._ipython_display_()

    in_a_kernel(work)
    static, panel = bundles
    assert "run this cell again" in static["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in panel
    for kind in ("text/html", "text/plain"):
        assert "lora(r=2)" in static[kind]
        assert "step 1 of 9" in static[kind]


def test_a_panel_can_stand_in_any_box():
    async def work(bench):
        return ipw.HBox([bench]).children == (bench,)

    assert in_a_kernel(work)


@pytest.mark.slow
def test_entries_settle_into_the_code_and_the_banner_names_every_wrong_field():
    async def work(bench):
        training = bench.setup.training_fold
        bench.setup.methods.cards[1].form["r"].entry = "0"
        bench.setup.training["steps"].entry = "-3"
        await settled(bench)
        sentences = [link.description for link in bench.banner.links.children]
        announcement = bench.aria.sentence
        bench.banner.links.children[1].click()
        opened = training.unfolded
        bench.setup.methods.cards[1].form["r"].entry = "2"
        bench.setup.training["steps"].entry = "3"
        await settled(bench)
        return sentences, announcement, opened, bench.banner.refusing, bench.code[2].value

    sentences, announcement, opened, refusing, code = in_a_kernel(work)
    assert sentences == ["qtha: r must be at least 1, got 0.", "steps must be at least 1, got -3."]
    assert all(sentence in announcement for sentence in sentences)
    assert opened
    assert not refusing
    assert "qtha(r=2" in code


def test_the_page_of_a_plugin_that_is_gone_says_so_and_starts_all_the_same(tmp_path):
    bench = Workbench(Comparison(plugins=[str(tmp_path / "gone.py")], methods="lora(r=2)"))
    assert "gone.py" in bench.banner.text.value
    assert bench.setup.comparison().plugins == []


def test_a_method_that_a_plugin_brings_can_be_added(no_plugin_stays):
    example = str(Path(__file__).parents[2] / "examples" / "whole_network.py")
    bench = Workbench(Comparison(methods="lora(r=2)"))
    assert "whole_network" not in bench.setup.methods.add.options

    async def work():
        bench.setup.what["plugins"].value = [example]
        await bench.refresh()

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
    bench.setup.methods.add.value = "whole_network"
    assert [method.name for method in bench.setup.comparison().methods] == ["lora", "whole_network"]
