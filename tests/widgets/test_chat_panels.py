"""Panels of talking and leaving, on real runs and real processes, without a browser."""

import asyncio

import pytest
from support.preloaded import PYTHON
from support.trained_runs import train_two

from qtha_lab.experiment import Comparison
from qtha_lab.runs.export import KINDS
from widgets import Chat, ExportPanel
from widgets.kit import boxes
from widgets.workbench.predict import Predict
from widgets.workbench.save_notebook import SaveNotebook

pytestmark = pytest.mark.slow  # its runs take longer than all that is asked of them

ANSWERER = [*PYTHON, "-m", "qtha_lab.runs.chat.process"]
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
        chat = Chat([first, second], ANSWERER)
        await asyncio.gather(*chat.background.tasks.values())
        assert len(chat.pick.options) == 11
        chat.pick.value = 3
        assert chat.prompt.value == chat.questions[3].prompt
        assert chat.answers.children[0].text == chat.questions[3].reference
        chat.form["max_new_tokens"].value = "8"
        await chat.answer()
        before = {name: column.text for name, column in chat.columns.items()}
        assert all(before[name] for name in ("base", first, second))
        assert before["mix"] == ""
        assert chat.stop.disabled
        assert before[first] in chat.aria.sentence
        assert f"base tiny: {before['base']}" in chat.still()["text/plain"]
        chat.mixer.unfolded = True
        await asyncio.gather(*chat.background.tasks.values())
        chat.mixer.sliders[first].value = 1.0
        chat.mixer.sliders[second].value = 0.0
        await asyncio.gather(*chat.background.tasks.values())
        after = {name: column.text for name, column in chat.columns.items()}
        assert after == {**before, "mix": before[first]}
        chat.prompt.value = "Something else"
        assert chat.reference == ""
        chat.runs = (second,)
        assert chat.columns == {}
        await asyncio.gather(*chat.background.tasks.values())
        await chat.answer()
        assert [*chat.columns] == ["base", second, "mix"]
        assert chat.client.alive
        chat.close()
        await asyncio.gather(*chat.background.tasks.values(), return_exceptions=True)
        assert not chat.client.alive
        assert chat.error.text == ""

    asyncio.run(sit())


def test_what_cannot_be_answered_is_said_in_the_panel(trained):
    async def sit():
        chat = Chat((), ANSWERER)
        assert "Tick one run" in chat.state.value
        for runs, prompt, sentence in (
            ((), "Hi", "No run to chat with is ticked."),
            ((trained[0].id,), " ", "The prompt is empty."),
            (("nothing",), "Hi", "Unknown run 'nothing'"),
        ):
            chat.runs, chat.prompt.value = runs, prompt
            chat.background.start("answer", chat.answer)
            await asyncio.gather(*chat.background.tasks.values())
            assert sentence in chat.error.text
        await chat.client.close()

    asyncio.run(sit())


def test_a_text_is_predicted_by_each_ticked_run_and_refusals_are_said(trained):
    lora, qtha = trained

    async def sit():
        form = Predict((), COMMAND)
        for runs, text, sentence in (
            ((), "Hi", "No run to predict with is ticked."),
            ((lora.id,), " ", "The text is empty."),
        ):
            form.runs, form.text.value = runs, text
            form.background.start("predict", form.predict)
            await asyncio.gather(*form.background.tasks.values())
            assert form.error.text == sentence
        form.runs, form.text.value = (lora.id, qtha.id), "How are you?"
        await form.predict()
        assert [row["run"] for row in form.rows] == ["lora · seed 0", "qtha · seed 0"]
        expected = [run.predict(["How are you?"])[0]["answer"] for run in trained]
        assert [row["answer"] for row in form.rows] == expected
        assert form.table.value.count("<tr") == 3
        chat = Chat((), ANSWERER)
        fold = chat.children[-1]
        fold.unfolded = True
        chat.runs = (qtha.id,)
        assert fold.place.children[0].runs == (qtha.id,)

    asyncio.run(sit())


def test_an_export_says_where_it_lies_and_the_command_that_does_the_same(trained, tmp_path):
    lora, qtha = trained

    async def sit():
        leave = ExportPanel(lora.id, COMMAND)
        assert [kind for _, kind in leave.kind.options] == [*KINDS]
        leave.kind.value, leave.to.value = "yaml", str(tmp_path / "run.yaml")
        assert f"qtha-lab export {lora.id} yaml --to" in leave.code.value
        await leave.export()
        assert (tmp_path / "run.yaml").read_text() == lora.experiment.to_yaml()
        assert str(tmp_path / "run.yaml") in leave.state.value
        leave.run, leave.kind.value, leave.to.value = qtha.id, "merged", ""
        leave.background.start("export", leave.export)
        await asyncio.gather(*leave.background.tasks.values())
        assert leave.error.text.startswith(f"Run {qtha.id} cannot be merged: ")
        leave.kind.value = "lora"
        assert boxes.is_shown(leave.r)
        assert "--r 8" in leave.code.value

    asyncio.run(sit())


def test_one_of_several_runs_is_picked_and_stays_while_it_is_offered(trained):
    first, second = (run.id for run in trained)
    leave = ExportPanel()
    leave.runs = (first, second)
    assert leave.run == first
    leave.pick.value = second
    assert second in leave.code.value
    leave.runs = (second,)
    assert (leave.run, boxes.is_shown(leave.pick)) == (second, False)
    leave.runs = ()
    assert leave.run == ""
    assert "Pick a run" in leave.state.value


def test_without_a_run_there_is_nothing_to_take_away():
    leave = ExportPanel()
    assert "Pick a run" in leave.state.value
    leave.run = "nothing"
    assert "Unknown run 'nothing'" in leave.error.text


def test_a_page_is_saved_as_a_notebook_once_under_each_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save = SaveNotebook(lambda: Comparison(methods="lora(r=2)"))
    (_, button, _) = save.children[0].children
    button.click()
    text = (tmp_path / "repeat.ipynb").read_text()
    assert text == Comparison(methods="lora(r=2)").to_notebook()
    assert str(tmp_path / "repeat.ipynb") in save.state.value
    button.click()
    assert (
        save.error.text
        == "repeat.ipynb must be a new file, got an existing one. Choose another name."
    )
