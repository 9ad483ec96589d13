"""Chat models: base models, the runs adapted from them, and their mixture.

The weights of a base are loaded once. Prompts are rows that no run was trained on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from peft import PeftModel
from torch import nn

from qtha_lab import adapters, models
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.description import RunDescription
from qtha_lab.experiment.plan import resolve
from qtha_lab.runs.chat.mixture import check_weights, mixture, shared_weights_copy
from qtha_lab.runs.generation.decoding import Decoding
from qtha_lab.runs.generation.stream import Stream
from qtha_lab.runs.run import Run, load_run
from qtha_lab.runs.trained_model import adapter_of, plan_of
from qtha_lab.tasks.messages import render
from qtha_lab.tasks.task import asked_and_answer

MIX = "mix"
BaseKey = tuple[str, str, str]  # model, quantization, precision


@dataclass(frozen=True)
class ChatModel:
    """A model that generates answers.

    Attributes:
        id: "base" (with its name if there are several bases), a run's id, or "mix".
        title: Title for display.
        note: Remark for display, such as the checkpoint of the adapter.
    """

    id: str
    title: str
    note: str
    base: models.LoadedModel
    model: nn.Module

    def stream(self, messages: Sequence[dict[str, str]], decoding: Decoding) -> Stream:
        """Return the stream of the answer to a conversation.

        Raises:
            Refusal: If the last message is empty, or the prompt fills all positions of the model.
        """
        if not messages or not messages[-1]["content"].strip():
            raise Refusal("The prompt must not be empty.")
        prompt = render(list(messages), self.base.tokenizer, generate=True)
        return Stream(self.model, self.base.tokenizer, prompt, decoding)


class ChatModels:
    """The base models of some runs and the runs' own models, loaded for chat.

    Args:
        of: Runs, their ids or the paths of their directories; with an adapter or a whole
            checkpoint.

    Raises:
        Refusal: If there is no run, or one has no adapter and no checkpoint.

    Example:
        >>> chat_models = ChatModels(["20261124-153012-tiny-qa-qtha-s0-1a2b"])  # doctest: +SKIP
        >>> for chat_model, answer in chat_models.answers("How are you?"):  # doctest: +SKIP
        ...     print(chat_model.title, answer.text)
    """

    def __init__(self, of: Iterable[Run | str | Path]) -> None:
        views = [run if isinstance(run, Run) else load_run(run) for run in of]
        self.runs = list({run.id: run for run in views}.values())
        if not self.runs:
            raise Refusal("The chat has no run.")
        self.bases: dict[BaseKey, models.LoadedModel] = {}
        self.all: list[ChatModel] = []
        self._weights: dict[str, float] = {}
        self._mixture: ChatModel | None = None
        chat_models = [self._of_run(run) for run in self.runs]
        for key, base in self.bases.items():
            name = "base" if len(self.bases) == 1 else f"base {' '.join(key)}"
            self.all.append(ChatModel(name, _title(key), "", base, base.model))
        self.all += chat_models

    def __getitem__(self, model_id: str) -> ChatModel:
        return {chat_model.id: chat_model for chat_model in self.all}[model_id]

    def held_out(self) -> list[HeldOutPrompt]:
        """Return held-out prompts of the runs' tasks, with their references."""
        firsts = {}
        for run in self.runs:
            experiment = run.experiment
            firsts.setdefault((experiment.task, str(experiment.task_options)), experiment)
        return [prompt for experiment in firsts.values() for prompt in held_out(experiment)]

    def mix(self, weights: Mapping[str, float]) -> ChatModel:
        """Return the mixture of all runs, whose layers add the weighted changes (see `mixture`).

        Args:
            weights: Weights by run id; 0 excludes a run.

        Raises:
            Refusal: If the runs have several bases, or a weight is unknown, missing or not finite.
        """
        by_run = {s.id: s.model for s in self.all if isinstance(s.model, PeftModel)}
        check_weights(weights, by_run)
        if len(self.bases) > 1:
            titles = " and ".join(_title(key) for key in self.bases)
            raise Refusal(f"Mixed adapters must have the same base model, got {titles}.")
        (base,) = self.bases.values()
        self._weights.update(weights)
        if self._mixture is None:
            model = mixture(base.model, by_run, self._weights).eval()
            self._mixture = ChatModel(MIX, "mix", "", base, model)
        return self._mixture

    def with_mix(self, weights: Mapping[str, float] | None) -> list[ChatModel]:
        """Return all chat models, including a mixture if there are weights."""
        return [*self.all, *([self.mix(weights)] if weights else [])]

    def answers(
        self,
        prompt: str | Sequence[dict[str, str]],
        decoding: Decoding | None = None,
        weights: Mapping[str, float] | None = None,
        of: Collection[str] = (),
    ) -> Iterator[tuple[ChatModel, Stream]]:
        """Generate all answers together, one token per model in turn.

        The caller may stop at any point by ending the iteration.

        Args:
            prompt: A text, or a conversation of messages.
            decoding: Settings of decoding.
            weights: Weights of a mixture, which then generates too.
            of: Ids of the models that generate; empty means all.

        Yields:
            A chat model and its stream, which has one more token than before, or has reached its
                `end`.
        """
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        decoding = decoding or Decoding()
        chat_models = [s for s in self.with_mix(weights) if not of or s.id in of]
        streams = [
            (chat_model, chat_model.stream(messages, decoding)) for chat_model in chat_models
        ]
        while streams:
            for chat_model, stream in list(streams):
                next(stream, None)
                yield chat_model, stream
            streams = [(chat_model, stream) for chat_model, stream in streams if not stream.end]

    def _of_run(self, run: Run) -> ChatModel:
        """Load the run's adapter on a shared-weights copy of its base."""
        experiment = plan_of(run.files).experiment
        held_out(experiment, 1)  # refuses a task that has no answers
        folder, note = adapter_of(run.files)
        key = (experiment.model, experiment.quantization, experiment.training.precision)
        if key not in self.bases:
            base = models.load_model(key[0], quantization=key[1], dtype=key[2])
            base.model.eval()
            self.bases[key] = base
        model = adapters.load_adapter(shared_weights_copy(self.bases[key].model), folder).eval()
        title = f"{experiment.method.label}, seed {experiment.seed}"
        return ChatModel(run.id, title, note, self.bases[key], model)


def _title(key: BaseKey) -> str:
    """Return the display name of a base: `base tiny`, `base smollm2-135m in int8`."""
    model, quantization, _ = key
    return f"base {model}" if quantization == "none" else f"base {model} in {quantization}"


COUNT = 10


@dataclass(frozen=True)
class HeldOutPrompt:
    """A held-out prompt, with the answer in the data set.

    Attributes:
        messages: The conversation up to the answer; each message has a "role" and a "content".
    """

    task: str
    messages: tuple[dict[str, str], ...]
    reference: str

    @property
    def prompt(self) -> str:
        """The content of the last message."""
        return self.messages[-1]["content"]


def held_out(experiment: RunDescription, count: int = COUNT) -> list[HeldOutPrompt]:
    """Return the first evaluation rows of an experiment; their answers were not trained on.

    Raises:
        Refusal: If its task has no answers, as a classification.

    Example:
        >>> from qtha_lab import Experiment
        >>> len(held_out(Experiment(task="qa")))
        10
    """
    training = experiment.training.replace(eval_rows=None)
    task = resolve(experiment.replace(training=training)).task
    if not task.has_answers:
        raise Refusal(
            f"task must have written answers for a chat, got {task.name}, a task of kind "
            f"{task.kind}."
        )
    asked = map(asked_and_answer, task.eval[:count])
    return [HeldOutPrompt(task.name, tuple(messages), answer) for messages, answer in asked]
