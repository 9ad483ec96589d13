"""Tasks by name: training, evaluation and test rows, and their encoding.

One file per task; users load their own data by path or hub id.
"""

from qtha_lab.tasks.loading import check_task as check_task
from qtha_lab.tasks.loading import load_task as load_task
from qtha_lab.tasks.loading import task_info as task_info
from qtha_lab.tasks.loading import task_names as task_names
from qtha_lab.tasks.loading import task_settings as task_settings
from qtha_lab.tasks.registry import TaskInfo as TaskInfo
from qtha_lab.tasks.registry import task as task
from qtha_lab.tasks.task import Collate as Collate
from qtha_lab.tasks.task import Task as Task
from qtha_lab.tasks.task import collate as collate
