"""Callbacks that know the tasks of a model."""

from mtlkit.callbacks.task_early_stopping import TaskEarlyStopping

__all__ = ["TaskEarlyStopping"]
