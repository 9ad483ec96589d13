"""The pane Explore names the ticked run, and opens on what the run has."""

import asyncio

import pytest
from support.run_folders import run_folder, status, train, write
from support.trained_runs import train_two
from support.workbench_kernel import in_a_kernel, settled

from qtha_lab.experiment import Comparison
from widgets.kit.boxes import is_shown
from widgets.workbench.explore import CIRCUIT, ENGINES, OPERATOR, SPECTRA, Explore

SPECTRUM = {"kind": "spectrum", "step": 1, "layers": {"0.q_proj": [2.0, 1.0]}}


def stopped(tmp_path, method):
    run = run_folder(tmp_path / "runs", method, steps=9)
    write(run, status("running", 0), train(1, 5.0), SPECTRUM, status("stopped", 1))
    return run.id


def explored(*ids):
    """Return title, choices and explorer after each run was ticked, one after the other."""

    async def work(_bench):
        explore, seen = Explore(), []
        for run in ids:
            explore.runs = (run,)
            await settled(explore)
            shown = [type(part).__name__ for part in explore.place.children]
            seen.append((explore.of.value, explore.choice.options, explore.choice.value, shown))
        explore.background.stop()
        return seen, explore.error.text

    seen, error = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert error == ""
    return seen


@pytest.mark.parametrize("method", ["lora(r=2)", "qtha(r=2,waist=8,bond_dim=2,use_circuit=false)"])
def test_a_run_without_a_circuit_says_so_and_opens_on_its_spectra(tmp_path, method):
    ((title, options, chosen, shown),) = explored(stopped(tmp_path, method))
    assert options == (SPECTRA, OPERATOR)
    assert chosen == SPECTRA
    assert shown == ["UpdateExplorer"]
    assert title.endswith(" has no circuit.")
    assert f"{method.partition('(')[0]}" in title


def test_a_run_with_a_circuit_offers_it_by_its_title_and_not_by_its_id(tmp_path):
    ids = [stopped(tmp_path, m) for m in ("qtha(r=2,waist=8,bond_dim=2)", "lora(r=2)")]
    seen = explored(ids[0], ids[1], ids[0])
    title, options, chosen, shown = seen[0]
    assert options == (CIRCUIT, SPECTRA, OPERATOR, ENGINES)
    assert (chosen, shown) == (CIRCUIT, ["CircuitExplorer"])
    assert "seed 0 · tiny · qa · 20" in title
    assert all(run not in title for run in ids)
    assert seen[1][1] == (SPECTRA, OPERATOR)
    assert seen[2][1] == (CIRCUIT, SPECTRA, OPERATOR, ENGINES)


def test_a_line_stands_at_once_while_the_loop_stays_free(tmp_path):
    run = stopped(tmp_path, "qtha(r=2,waist=8,bond_dim=2)")

    async def work(_bench):
        explore, lines = Explore(), []
        explore.of.observe(lambda change: lines.append(change["new"]), "value")
        explore.runs = (run,)
        rounds = 0
        while explore.background.tasks:
            await asyncio.sleep(0)
            rounds += not explore.place.children and "Computing" in explore.of.value
        explore.background.stop()
        return lines, rounds

    lines, rounds = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert lines[0] == "Loading …"
    assert " Computing: Circuit …" in lines[1]
    assert rounds > 1  # of the loop, while the explorer was computed


def test_of_several_runs_the_first_with_a_circuit_is_shown_and_another_can_be_picked(tmp_path):
    lora, qtha = (stopped(tmp_path, m) for m in ("lora(r=2)", "qtha(r=2,waist=8,bond_dim=2)"))

    async def work(_bench):
        explore = Explore()
        explore.runs = (lora, qtha)
        await settled(explore)
        opened = explore.run.value, is_shown(explore.run), explore.choice.options
        explore.run.value = lora
        await settled(explore)
        shown = [type(part).__name__ for part in explore.place.children]
        explore.background.stop()
        return opened, explore.choice.options, shown, explore.error.text

    opened, options, shown, error = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert opened == (qtha, True, (CIRCUIT, SPECTRA, OPERATOR, ENGINES))
    assert (options, shown, error) == ((SPECTRA, OPERATOR), ["UpdateExplorer"], "")


def test_a_run_with_skipped_spectra_says_how_many_and_why(tmp_path):
    run = run_folder(tmp_path / "runs", "lora(r=2)", steps=9, spectrum_every=2)
    events = [SPECTRUM | {"step": step} for step in (0, 2)]  # those of steps 4 and 6 are missing
    write(run, status("running", 0), train(7, 5.0), *events, status("stopped", 7))

    async def work(_bench):
        explore = Explore()
        explore.runs = (run.id,)
        await settled(explore)
        (explorer,) = explore.place.children
        await settled(explorer)
        explore.background.stop()
        return " ".join(explorer.progress)

    progress = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert "2 of 3 spectra skipped to spend at most 2 % of the training time" in progress


@pytest.mark.slow
def test_the_operator_of_a_run_with_a_circuit_is_its_linear_path_and_named_so(tmp_path):
    _lora, qtha = train_two(tmp_path / "runs")

    async def work(_bench):
        explore = Explore()
        explore.runs = (qtha.id,)
        await settled(explore)
        explore.choice.value = OPERATOR
        await settled(explore)
        shown = [type(part).__name__ for part in explore.place.children]
        weights = [list(part.weights) for part in explore.place.children]
        explore.background.stop()
        return shown, weights, explore.error.text

    shown, weights, error = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert (shown, error) == (["MpoExplorer"], "")
    assert weights[0][0] == "model.layers.0.self_attn.q_proj (linear path)"
