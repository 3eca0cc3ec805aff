"""The multi-task model, and the tasks that it is made of."""

from mtlkit.model.multi_task_model import MultiTaskModel
from mtlkit.model.task import Task

__all__ = ["MultiTaskModel", "Task"]
