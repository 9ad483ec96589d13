"""A chat panel: a prompt, and generations of base, runs and mixture side by side.

The models run in a process of their own (`qtha_lab.runs.chat.client`). The headless equivalent is
`ChatModels(runs).answers(prompt)`.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.runs.chat import Decoding
from qtha_lab.runs.chat.client import COMMAND, Client
from qtha_lab.runs.chat.models import HeldOutPrompt, held_out
from qtha_lab.runs.run import load_run

from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import Background, with_libraries
from ..kit.static_output import StaticOutput
from ..runs.variants import variants
from .chat_columns import AnswerColumn, Mixer
from .form import Form
from .history import named
from .predict import Predict

OWN = "a prompt of your own"
MIX = "mix"


class Chat(StaticOutput, ipw.VBox):
    """A chat panel for the last line of a cell, alone or in any box.

    Args:
        runs: Ids of runs whose models generate, as the trait.
        command: Command that starts the chat process.

    Example:
        >>> chat = Chat(["20261124-153012-tiny-qa-qtha-s0-1a2b"])  # doctest: +SKIP
        >>> chat.prompt.value = "How are you?"  # doctest: +SKIP
        >>> await chat.answer()  # doctest: +SKIP
    """

    runs = traitlets.Tuple()

    def __init__(self, runs: Iterable[str] = (), command: Sequence[str] = COMMAND):
        super().__init__(layout=boxes.layout())
        self.client, self.loaded = Client(command), ()
        self.columns: dict[str, AnswerColumn] = {}
        self.asked: tuple[dict[str, str], ...] = ()
        self.questions: list[HeldOutPrompt] = []
        self.error, self.aria = boxes.ErrorText(), boxes.Announcer()
        self.background = Background(self._refuse)
        self.form = Form(settings_of(Decoding))
        self.mixer = Mixer(self._weigh)
        self.children = self._laid_out()
        boxes.classed(self, "qtha-page", "qtha-column", "qtha-chat")
        self.observe(self.error.guard(self._take_runs), "runs")
        self.runs = tuple(runs)
        if not self.runs:
            self._take_runs()

    async def answer(self, of: Sequence[str] = ()) -> None:
        """Generate answers to the prompt; a generation in progress ends.

        Args:
            of: Ids of the models that generate; empty means all.
        """
        messages, decoding = self._messages(), Decoding(**self.form.values)
        self.error.show("")
        self.stop.disabled = False
        try:
            await self._load()
            if any(column.end == "" for column in self._others(of)) or messages != self.asked:
                of = ()
            self.asked = messages
            chosen = [column for name, column in self.columns.items() if not of or name in of]
            for column in chosen:
                column.write("")
            request = {"messages": list(messages), "of": list(of), "weights": self.mixer.weights}
            async for event in self.client.ask(**request, decoding=dataclasses.asdict(decoding)):
                if event["kind"] == "text":
                    self.columns[event["speaker"]].write(
                        event["text"], event["tokens"], event["end"]
                    )
                elif event["stopped"]:
                    for column in chosen:
                        column.stop()
            self.aria.say(" ".join(filter(None, (column.spoken for column in chosen))))
        finally:
            self.stop.disabled = True
            self.state.value = ""

    def _others(self, of: Sequence[str]) -> list[AnswerColumn]:
        """Return the columns of the models that do not generate this time."""
        return [column for name, column in self.columns.items() if name not in (*of, MIX)]

    def close(self) -> None:
        """Close the panel, and end the chat process."""
        super().close()  # also stops the background tasks
        self.background.start("close", self.client.close)

    @property
    def reference(self) -> str:
        """The data set's own answer to a held-out prompt; "" for a user's prompt."""
        question = self._picked()
        return "" if question is None else question.reference

    def _messages(self) -> tuple[dict[str, str], ...]:
        """Return the conversation to continue."""
        picked, text = self._picked(), self.prompt.value.strip()
        if not self.runs:
            raise Refusal("No run to chat with is ticked.")
        if not text:
            raise Refusal("The prompt is empty.")
        return picked.messages if picked else ({"role": "user", "content": text},)

    def _picked(self) -> HeldOutPrompt | None:
        """Return the selected held-out prompt, or None if the text was edited."""
        number = self.pick.value
        question = self.questions[number] if isinstance(number, int) else None
        return question if question and question.prompt == self.prompt.value.strip() else None

    async def _load(self) -> None:
        """Load the runs in the chat process, unless they are loaded."""
        if self.loaded == self.runs and self.client.alive:
            return
        self.state.value = boxes.lines(["Loading the models …"])
        runs, self.loaded = self.runs, ()
        async for event in self.client.ask(runs=[str(load_run(run).path) for run in runs]):
            self._show_chat_models(event["chat_models"])
        self.loaded, self.state.value = runs, ""

    def _show_chat_models(self, chat_models: list[dict[str, str]]) -> None:
        headings = self._headings()
        self.columns = {
            s["id"]: AnswerColumn(s["title"], s["note"], headings.get(s["id"], ""))
            for s in chat_models
        }
        self.columns[MIX] = AnswerColumn(MIX, "the changes of all runs, weighted")
        self._arrange()

    def _headings(self) -> dict[str, str]:
        """Return symbol, name and seed of each run, as in figures."""
        experiments = {run: load_run(run).experiment for run in self.runs}
        known = variants(each.method.label for each in experiments.values())
        return {
            run: f"{known[each.method.label].title_html} · seed {each.seed}"
            for run, each in experiments.items()
        }

    def _arrange(self) -> None:
        """Show the reference first, then the models that generate."""
        members = {n: c for n, c in self.columns.items() if n != MIX or self.mixer.weights}
        reference = AnswerColumn("reference", "the answer in the data set")
        reference.write(self.reference)
        self.answers.children = (*([reference] if self.reference else []), *members.values())

    def _take_runs(self, _change=None) -> None:
        """Switch to other runs and their held-out prompts; models load at the first prompt."""
        self.background.cancel("answer")
        self.columns, self.loaded = {}, ()
        self.mixer.show({})
        boxes.put(self.answers, [])
        empty = "" if self.runs else "Tick one run or several, and ask them something."
        self.state.value = boxes.lines([empty])
        self.questions, self.pick.options = [], ((OWN, ""),)
        if self.runs:
            self.background.start("prompts", self._list_prompts)

    async def _list_prompts(self) -> None:
        runs = self.runs
        experiments = await asyncio.to_thread(experiments_of, runs)
        questions = await with_libraries(prompts_of, experiments.values())
        if runs == self.runs:
            self.questions = questions
            texts = [(question.prompt[:90], number) for number, question in enumerate(questions)]
            self.pick.options = ((OWN, ""), *texts)
            bases = {(e.model, e.quantization, e.training.precision) for e in experiments.values()}
            titles = {run: named(experiment) for run, experiment in experiments.items()}
            self.mixer.show(titles if len(bases) == 1 else {})

    def _show_question(self, change) -> None:
        if isinstance(change["new"], int):
            self.prompt.value = self.questions[change["new"]].prompt
        self._arrange()

    def _stop(self) -> None:
        """End the generation after this token, or cancel the loading of the models."""
        if self.loaded == self.runs:
            self.background.start("stop", self.client.stop)
        else:
            self.background.cancel("answer")

    def _weigh(self) -> None:
        """Generate with the mixture again after a weight has changed."""
        self._arrange()
        if self.mixer.weights and self.prompt.value.strip():
            self.background.start("answer", lambda: self.answer([MIX]))

    def _refuse(self, error: Exception) -> None:
        self.error.report(error)
        self.state.value = ""

    def _laid_out(self) -> list[Any]:
        self.pick = boxes.styled(ipw.Dropdown, options=[(OWN, "")], description="held-out prompts")
        self.pick.observe(self.error.guard(self._show_question), "value")
        self.prompt = boxes.styled(
            ipw.Textarea,
            placeholder="Ask something",
            description="prompt",
            rows=2,
            continuous_update=False,
        )
        self.prompt.observe(self.error.guard(lambda _: self._arrange()), "value")
        ask = boxes.button("Answer", icon="comment", button_style="primary")
        ask.on_click(lambda _: self.background.start("answer", self.answer))
        self.stop = boxes.button("Stop", icon="stop", disabled=True)
        self.stop.on_click(lambda _: self._stop())
        self.state = boxes.text()
        self.answers = boxes.styled(ipw.VBox, css="qtha-answers")
        tokens = Fold("How tokens are chosen", lambda: self.form.panel)
        return [ self.aria, self.pick, self.prompt, boxes.row([ask, self.stop, self.state]),
            tokens, self.mixer, self.error.panel, self.answers, Fold("Predict", self._predict),
        ]  # fmt: skip

    def _predict(self) -> Predict:
        """Return the form of predictions, whose runs are those of the chat."""
        form = Predict()
        traitlets.dlink((self, "runs"), (form, "runs"))
        return form

    def still(self) -> dict[str, str]:
        """Return the prompt and every answer as text."""
        words = [
            f"{column.title}: {column.text}" for column in self.columns.values() if column.text
        ]
        return {"text/plain": "\n".join([self.prompt.value, *words])}


def experiments_of(run_ids: Iterable[str]) -> dict[str, Experiment]:
    """Return the experiment of each run, by run id; refuse a run with untrusted plugins."""
    runs = {name: load_run(name) for name in run_ids}
    return {name: trusted(run.path, run.experiment) for name, run in runs.items()}


def prompts_of(experiments: Iterable[Experiment]) -> list[HeldOutPrompt]:
    """Return the held-out prompts of the experiments' tasks, once per task."""
    firsts = {(e.task, str(e.task_options)): e for e in reversed([*experiments])}
    return [question for experiment in firsts.values() for question in held_out(experiment)]
