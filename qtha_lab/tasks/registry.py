"""Registry of tasks by name, found automatically in the files of this package.

A task is a dataclass of settings with a `rows()` method, decorated with `@task(...)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from qtha_lab.core.io import packed_records
from qtha_lab.core.paths import data_dir
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings_help import with_arguments
from qtha_lab.tasks.task import Kind

TASKS: Registry["TaskInfo"] = Registry("task", "qtha_lab.tasks", group="qtha_lab.tasks")


@dataclass(frozen=True)
class TaskInfo:
    """Declaration of a shipped task.

    Attributes:
        memorised: Whether evaluation and test rows are among the training rows.
        open_rows: Test rows that every run may use; further ones are sealed. None seals none.
        key_name: Name of one split key in sentences.
    """

    name: str
    summary: str
    kind: Kind
    source: str
    licence: str
    options: type
    memorised: bool = False
    open_rows: int | None = None
    key_name: str = "key"


def task(
    name: str,
    *,
    summary: str,
    kind: Kind,
    source: str,
    licence: str,
    memorised: bool = False,
    open_rows: int | None = None,
    key_name: str = "key",
) -> Callable[[type], type]:
    """Register a dataclass of options with a `rows()` method as a task.

    Args:
        name: Name in an experiment.
        summary: Description in one line, for lists.
        kind: "lm" (rows of messages) or "classification" (rows of text and label).
        source: Origin of the rows.
        licence: Terms of use of the rows.
        memorised: Evaluate on training rows, for a task that measures how much is stored.
        open_rows: Test rows outside the sealed pool; None declares no sealed pool.
        key_name: Name of one split key in sentences, such as "conversation".

    Returns:
        A decorator that returns the class unchanged.
    """

    def register(options: type) -> type:
        with_arguments(options)
        info = TaskInfo(
            name, summary, kind, source, licence, options, memorised, open_rows, key_name
        )
        TASKS.add(name, info, options.__module__)
        return options

    return register


def shipped_rows(name: str) -> list[dict]:
    """Read the rows of `data/tasks/NAME.jsonl.xz`."""
    return [record for _, record in packed_records(data_dir() / "tasks" / f"{name}.jsonl.xz")]


def question_and_answer(prompt: str, response: str, key: str) -> dict:
    """Build a language-modelling row of one exchange.

    Args:
        prompt: Message of the user.
        response: Answer that the model learns.
        key: Split key, which is on one side of the split only.

    Example:
        >>> question_and_answer("2 + 2?", "4", key="4")["messages"][1]
        {'role': 'assistant', 'content': '4'}
    """
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return {"messages": messages, "key": key}
