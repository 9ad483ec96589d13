"""Tasks by name: training, evaluation and test rows, and their encoding.

One file per task (qa, chat, definitions, supersense); users load their own data by path or hub id.
"""

from qtha_lab.tasks.loading import check_task, load_task, task_info, task_names, task_settings
from qtha_lab.tasks.registry import TaskInfo, task
from qtha_lab.tasks.task import Collate, Task, collate

__all__ = [
    "Collate",
    "Task",
    "TaskInfo",
    "check_task",
    "collate",
    "load_task",
    "task",
    "task_info",
    "task_names",
    "task_settings",
]
