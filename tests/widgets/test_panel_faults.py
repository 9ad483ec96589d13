"""Faults in a panel become one sentence on it: a refusal's own words, or the notice of a fault of
ours.

A fault is planted in a function that the panel calls; the panel, its controls and the log are real.
"""

import asyncio
import html
from collections.abc import Callable

import pytest
import torch
from support.run_folders import run_folder, status, train, write

import widgets
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting
from qtha_lab.runs.run import Status
from widgets.kit.boxes import ErrorText, is_shown
from widgets.kit.loop import Background
from widgets.runs.run_list import LogView
from widgets.workbench.study_watch import ComparisonWatch


def in_budget_bar(plant: Callable, tmp_path) -> str:
    explorer = widgets.BudgetBar()
    plant("widgets.explorers.budget_bar.parameter_budget")
    explorer.r = 5
    return explorer.error.panel.value


def in_circuit_explorer(plant: Callable, tmp_path) -> str:
    explorer = widgets.CircuitExplorer(n_qubits=2)
    plant("widgets.explorers.circuit_explorer.CircuitAtAngles.trace")
    explorer.set_angle("p0", 0.5)
    return explorer.error.panel.value


def in_data_path(plant: Callable, tmp_path) -> str:
    explorer = widgets.DataPath({"one": torch.ones(16)})
    plant("widgets.explorers.data_path.token_path")
    explorer.r = 3
    return explorer.error.panel.value


def in_engine_explorer(plant: Callable, tmp_path) -> str:
    explorer = widgets.EngineExplorer("qtha", 2, 1, 4)
    plant("widgets.explorers.engine_explorer.engine_speeds")
    explorer.n_layers = 2
    return explorer.error.panel.value


def in_figure_bench(plant: Callable, tmp_path) -> str:
    explorer = widgets.FigureBench()
    plant("widgets.explorers.figure_bench.paper_figure")
    explorer.kind = "seeds"
    return explorer.error.panel.value


def in_fooling_machine(plant: Callable, tmp_path) -> str:
    explorer = widgets.FoolingMachine()
    plant("widgets.explorers.fooling_machine.false_wins")
    explorer.rates = 2
    return explorer.error.panel.value


def in_ansatz_pair(plant: Callable, tmp_path) -> str:
    explorer = widgets.AnsatzPair(n_qubits=2, n_layers=1)
    plant("widgets.explorers.ansatz_pair.overlap_histogram")
    explorer.n_layers = 2
    return explorer.error.panel.value


def in_landscape(plant: Callable, tmp_path) -> str:
    explorer = widgets.Landscape(n_qubits=2)
    plant("widgets.explorers.landscape.angle_landscape")
    explorer.n_layers = 2
    return explorer.error.panel.value


def in_chip(plant: Callable, tmp_path) -> str:
    explorer = widgets.Chip()
    plant("widgets.explorers.chip.signal_by_layers")
    explorer.n_layers = 2
    return explorer.error.panel.value


def in_method_map(plant: Callable, tmp_path) -> str:
    explorer = widgets.MethodMap()
    plant("widgets.explorers.method_map.parameters_by_width")
    explorer.r = 8
    return explorer.error.panel.value


def in_rate_curve(plant: Callable, tmp_path) -> str:
    explorer = widgets.RateCurve()
    plant("widgets.explorers.rate_curve.loss_against_rate")
    explorer.measure = "train_loss"
    return explorer.error.panel.value


def in_form(plant: Callable, tmp_path) -> str:
    form = widgets.Form({"r": Setting("r", int, 8, ge=2)})
    plant("qtha_lab.core.settings.Setting.check")
    form["r"].entry = "3"
    return form["r"].error


def in_live_plot(plant: Callable, tmp_path) -> str:
    run = run_folder(tmp_path)
    write(run, status("running", 0), train(1, 5.0), status("finished", 1))
    plot = widgets.LivePlot([run])
    plant("qtha_lab.runs.run.Run.events")
    with pytest.raises((KeyError, Refusal)):
        asyncio.run(plot.follow())
    assert plot.error.panel in plot.panel.children
    return plot.error.panel.value


def in_log_view(plant: Callable, tmp_path) -> str:
    view = LogView(folder=tmp_path)
    plant("widgets.runs.run_list.load_run")
    view.run = run_folder(tmp_path).id
    return view.error.panel.value


def in_mpo_explorer(plant: Callable, tmp_path) -> str:
    explorer = widgets.MpoExplorer({"identity": torch.eye(4), "ones": torch.ones(4, 4)})
    plant("widgets.explorers.mpo_explorer.mpo_diagram")
    explorer.weight = "ones"
    return explorer.error.panel.value


def in_runs_table(plant: Callable, tmp_path) -> str:
    run_folder(tmp_path / "runs")
    table = widgets.RunsTable(tmp_path / "runs")
    table.wait()
    plant("widgets.runs.runs_table.query")
    table.where = "method = lora"
    table.wait()
    table.close()
    return table.error.panel.value


def in_comparison_watch(plant: Callable, tmp_path) -> str:
    watch = ComparisonWatch()
    plant("qtha_lab.studies.comparison.ComparisonStudy.find")
    watch.comparison = "20261125-101500-1a2b"
    return watch.error.panel.value


def in_sweep_watch(plant: Callable, tmp_path) -> str:
    watch = widgets.SweepWatch()
    plant("qtha_lab.studies.sweep.SweepStudy.find")
    watch.sweep = "20261125-101500-1a2b"
    return watch.error.panel.value


def in_views(plant: Callable, tmp_path) -> str:
    views = widgets.Views()
    plant("widgets.explorers.views.Compared")
    views.runs = (run_folder(tmp_path / "runs").id,)
    return views.error.panel.value


def in_spectrum_explorer(plant: Callable, tmp_path) -> str:
    events = [{"kind": "spectrum", "step": s, "layers": {"0.q": [2.0, 1.0]}} for s in (0, 5)]
    explorer = widgets.SpectrumExplorer({"lora": events})
    plant("widgets.explorers.update_explorer.spectra")
    explorer.step = 0
    return explorer.error.panel.value


def in_leave(plant: Callable, tmp_path) -> str:
    leave = widgets.ExportPanel(run_folder(tmp_path / "runs").id)
    plant("widgets.workbench.export.default_place")
    leave.kind.value = "card"
    return leave.error.panel.value


def in_talk(plant: Callable, tmp_path) -> str:
    async def main():
        chat = widgets.Chat()
        plant("widgets.workbench.chat.held_out")
        chat.runs = (run_folder(tmp_path / "runs").id,)
        await chat.background.tasks["prompts"]
        return chat.error.panel.value

    return asyncio.run(main())


def in_update_explorer(plant: Callable, tmp_path) -> str:
    run = run_folder(tmp_path)
    write(run, *({"kind": "spectrum", "step": s, "layers": {"0.q": [2.0]}} for s in (0, 5)))
    explorer = widgets.UpdateExplorer([run])
    plant("widgets.explorers.update_explorer.spectra")
    explorer.step = 0
    return explorer.error.panel.value


def in_watch(plant: Callable, tmp_path) -> str:
    line = ErrorText()

    async def main():
        watch = widgets.Watch(Background(line.report))
        watch.show([run_folder(tmp_path)])
        plant("qtha_lab.runs.run.Run.stop")
        watch.list.update({watch.runs[0].id: Status("running", 1, 9)})
        watch.list.rows[watch.runs[0].id].buttons["Stop"].click()
        await watch.background.tasks["stop"]
        watch.background.stop()

    asyncio.run(main())
    return line.panel.value


def of_workbench(answer: Callable) -> Callable[..., str]:
    def in_workbench(plant: Callable, tmp_path) -> str:
        async def main():
            bench = widgets.Workbench()
            bench.background.stop()
            answer(bench, plant)
            while (tasks := bench.background.tasks) and not bench.banner.refusing:
                await asyncio.gather(*tasks.values(), return_exceptions=True)
            bench.background.stop()
            assert bench.banner.refusing
            return bench.banner.text.value

        return asyncio.run(main())

    return in_workbench


def preview(bench, plant: Callable) -> None:
    plant("qtha_lab.experiment.cost.preview.preview")
    bench.setup.training["steps"].entry = "3"


def launch(bench, plant: Callable) -> None:
    plant("widgets.workbench.workbench.launch")
    bench.launch.click()


def entry(bench, plant: Callable) -> None:
    plant("qtha_lab.experiment.MethodChoice.__init__")
    bench.setup.methods.cards[0].form["r"].entry = "3"


def addition(bench, plant: Callable) -> None:
    plant("widgets.workbench.methods.with_controls")
    bench.setup.methods.add.value = "qtha with its controls"


def task(bench, plant: Callable) -> None:
    plant("widgets.workbench.setup.Form.__init__")
    bench.setup.what["task"].entry = "definitions"


PANELS = {
    "AnsatzPair": in_ansatz_pair,
    "BudgetBar": in_budget_bar,
    "Chip": in_chip,
    "CircuitExplorer": in_circuit_explorer,
    "ComparisonWatch": in_comparison_watch,
    "DataPath": in_data_path,
    "EngineExplorer": in_engine_explorer,
    "FigureBench": in_figure_bench,
    "FoolingMachine": in_fooling_machine,
    "Form": in_form,
    "ExportPanel": in_leave,
    "Landscape": in_landscape,
    "LivePlot": in_live_plot,
    "LogView": in_log_view,
    "MethodMap": in_method_map,
    "MpoExplorer": in_mpo_explorer,
    "RateCurve": in_rate_curve,
    "RunsTable": in_runs_table,
    "SpectrumExplorer": in_spectrum_explorer,
    "SweepWatch": in_sweep_watch,
    "Chat": in_talk,
    "UpdateExplorer": in_update_explorer,
    "Views": in_views,
    "Watch": in_watch,
    "Workbench: a preview": of_workbench(preview),
    "Workbench: a launch": of_workbench(launch),
    "Workbench: an entry": of_workbench(entry),
    "Workbench: a method added": of_workbench(addition),
    "Workbench: another task": of_workbench(task),
}
every_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)


@pytest.fixture(autouse=True)
def _no_warm_server(monkeypatch):
    """A log of its own would give each test a server of its own, and none starts a run."""


@pytest.fixture
def plant(monkeypatch):
    """Let a function, by its address, raise an error from now on."""

    def plant(error: Exception) -> Callable[[str], None]:
        def fail(*arguments, **options):
            raise error

        return lambda address: monkeypatch.setattr(address, fail)

    return plant


def test_every_panel_is_among_them():
    without_controls, inner = {"FigureWidget"}, {"ComparisonWatch", "LogView"}
    named = {name.split(":")[0] for name in PANELS}
    assert named == {*widgets.__all__, *inner} - without_controls


@every_panel
def test_a_fault_of_ours_is_called_so_and_its_traceback_is_in_the_log(
    panel, plant, tmp_path, monkeypatch, capsys
):
    log = tmp_path / "faults.log"
    monkeypatch.setenv("QTHA_LAB_LOG", str(log))
    sentence = html.unescape(panel(plant(KeyError("eval_loss")), tmp_path))
    assert sentence.startswith("this is a fault of qtha-lab")
    assert str(log) in sentence
    assert "eval_loss" not in sentence
    assert "KeyError: 'eval_loss'" in log.read_text()
    assert capsys.readouterr() == ("", "")


@every_panel
def test_a_refusal_keeps_its_words(panel, plant, tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "faults.log"))
    assert panel(plant(Refusal("the moon must be full, not new")), tmp_path).endswith(
        "the moon must be full, not new"
    )
    assert not (tmp_path / "faults.log").exists()


def test_the_sentence_goes_with_the_next_answer_that_goes_right():
    line = ErrorText()
    check = line.guard(Setting("r", int, 8, ge=2).check)
    check(1)
    assert line.text == "r must be at least 2, got 1."
    assert is_shown(line.panel)
    check(3)
    assert line.text == ""
    assert not is_shown(line.panel)
