"""Prompts from rows that a run was not trained on, with their reference answers."""

from dataclasses import dataclass

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.description import RunDescription
from qtha_lab.experiment.plan import resolve
from qtha_lab.tasks.task import asked_and_answer

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
