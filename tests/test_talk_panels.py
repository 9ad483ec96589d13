"""Panels of talking and leaving, on real runs and real processes, without a browser."""

import asyncio

import pytest
from support.preloaded import PYTHON
from support.trained_runs import train_two

from qtha_lab.experiment import Comparison
from qtha_lab.exports import KINDS
from widgets import Leave, Talk
from widgets.save_notebook import SaveNotebook

pytestmark = pytest.mark.slow  # its runs take longer than all that is asked of them

ANSWERER = [*PYTHON, "-m", "qtha_lab.talking.process"]
COMMAND = [*PYTHON, "-c", "from qtha_lab.cli import main; main()"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A LoRA and a QTHA of the same base and task, in the runs folder of the test."""
    return train_two(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def _runs_folder(trained, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(trained[0].path.parent))


def test_held_out_prompts_are_offered_and_answered_side_by_side_and_mixed(trained):
    first, second = (run.id for run in trained)

    async def sit():
        talk = Talk([first, second], ANSWERER)
        await asyncio.gather(*talk.background.tasks.values())
        assert len(talk.pick.options) == 11
        talk.pick.value = 3
        assert talk.prompt.value == talk.questions[3].prompt
        assert talk.answers.children[0].text == talk.questions[3].reference
        talk.form["max_new_tokens"].value = "8"
        await talk.answer()
        before = {name: column.text for name, column in talk.columns.items()}
        assert all(before[name] for name in ("base", first, second))
        assert before["mix"] == ""
        assert talk.stop.disabled
        assert before[first] in talk.aria.sentence
        assert f"base tiny: {before['base']}" in talk.still()["text/plain"]
        talk.mixer.unfolded = True
        await asyncio.gather(*talk.background.tasks.values())
        talk.mixer.sliders[first].value = 1.0
        talk.mixer.sliders[second].value = 0.0
        await asyncio.gather(*talk.background.tasks.values())
        after = {name: column.text for name, column in talk.columns.items()}
        assert after == {**before, "mix": before[first]}
        talk.prompt.value = "Something else"
        assert talk.reference == ""
        talk.runs = (second,)
        assert talk.columns == {}
        await asyncio.gather(*talk.background.tasks.values())
        await talk.answer()
        assert [*talk.columns] == ["base", second, "mix"]
        assert talk.client.alive
        talk.close()
        await asyncio.gather(*talk.background.tasks.values(), return_exceptions=True)
        assert not talk.client.alive
        assert talk.error.text == ""

    asyncio.run(sit())


def test_what_cannot_be_answered_is_said_in_the_panel(trained):
    async def sit():
        talk = Talk((), ANSWERER)
        assert "Tick one run" in talk.state.value
        for runs, prompt, sentence in (
            ((), "Hi", "nobody to talk with: tick a run"),
            ((trained[0].id,), " ", "the prompt is empty: type a word"),
            (("nothing",), "Hi", "no run 'nothing'"),
        ):
            talk.runs, talk.prompt.value = runs, prompt
            talk.background.start("answer", talk.answer)
            await asyncio.gather(*talk.background.tasks.values())
            assert sentence in talk.error.text
        await talk.client.close()

    asyncio.run(sit())


def test_an_export_says_where_it_lies_and_the_command_that_does_the_same(trained, tmp_path):
    lora, qtha = trained

    async def sit():
        leave = Leave(lora.id, COMMAND)
        assert [kind for _, kind in leave.kind.options] == [*KINDS]
        leave.kind.value, leave.to.value = "yaml", str(tmp_path / "run.yaml")
        assert f"qtha-lab export {lora.id} yaml --to" in leave.code.value
        await leave.export()
        assert (tmp_path / "run.yaml").read_text() == lora.experiment.to_yaml()
        assert str(tmp_path / "run.yaml") in leave.state.value
        leave.run, leave.kind.value, leave.to.value = qtha.id, "merged", ""
        leave.background.start("export", leave.export)
        await asyncio.gather(*leave.background.tasks.values())
        assert leave.error.text.startswith(f"run {qtha.id} cannot be merged: ")
        leave.kind.value = "lora"
        assert leave.r.layout.display == ""
        assert "--r 8" in leave.code.value

    asyncio.run(sit())


def test_one_of_several_runs_is_picked_and_stays_while_it_is_offered(trained):
    first, second = (run.id for run in trained)
    leave = Leave()
    leave.runs = (first, second)
    assert leave.run == first
    leave.pick.value = second
    assert second in leave.code.value
    leave.runs = (second,)
    assert (leave.run, leave.pick.layout.display) == (second, "none")
    leave.runs = ()
    assert leave.run == ""
    assert "Pick a run" in leave.state.value


def test_without_a_run_there_is_nothing_to_take_away():
    leave = Leave()
    assert "Pick a run" in leave.state.value
    leave.run = "nothing"
    assert "no run 'nothing'" in leave.error.text


def test_a_page_is_saved_as_a_notebook_once_under_each_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save = SaveNotebook(lambda: Comparison(methods="lora(r=2)"))
    (_, button, _) = save.children[0].children
    button.click()
    text = (tmp_path / "repeat.ipynb").read_text()
    assert text == Comparison(methods="lora(r=2)").to_notebook()
    assert str(tmp_path / "repeat.ipynb") in save.state.value
    button.click()
    assert save.error.text == "repeat.ipynb is there already: choose another name"
