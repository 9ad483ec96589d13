"""Prompts to talk about: rows of a run's task that it was not trained on, with their answers as references."""

from dataclasses import dataclass

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.plan import resolve

COUNT = 10


@dataclass(frozen=True)
class HeldOut:
    """What is asked, and the answer that the data set has.

    Attributes:
        messages: The conversation up to the answer, each with a "role" and a "content".
    """

    task: str
    messages: tuple[dict[str, str], ...]
    reference: str

    @property
    def prompt(self) -> str:
        """The last thing asked."""
        return self.messages[-1]["content"]


def held_out(experiment: Experiment, count: int = COUNT) -> list[HeldOut]:
    """The first evaluation rows of an experiment; no answer of theirs was trained on.

    Raises:
        Refusal: If its task has no answers, as a classification.

    Example:
        >>> len(held_out(Experiment(task="qa")))
        10
    """
    training = experiment.training.replace(eval_rows=None)
    task = resolve(experiment.replace(training=training)).task
    if task.kind != "lm":
        raise Refusal(f"{task.name} is a classification task: it has no answers to talk about")
    prompts = []
    for row in task.eval[:count]:
        messages = row["messages"]
        last = max(i for i, m in enumerate(messages) if m["role"] == "assistant")
        prompts.append(HeldOut(task.name, tuple(messages[:last]), messages[last]["content"]))
    return prompts
