"""Data sets: rotated images with three tasks, planted trouble, and users' own arrays."""

from mtlkit.datasets.class_balanced import ClassBalancedBatches
from mtlkit.datasets.default_model import default_model
from mtlkit.datasets.image_folder import load_image_folder
from mtlkit.datasets.multitask_data import MultiTaskData
from mtlkit.datasets.npz import load_npz
from mtlkit.datasets.planting import PlantedData, planted, planted_conditions
from mtlkit.datasets.rotated_digits import rotated_digits
from mtlkit.datasets.rotated_fashion_mnist import rotated_fashion_mnist
from mtlkit.datasets.rotation import rotate_images
from mtlkit.datasets.table import load_table
from mtlkit.datasets.task_batches import TaskBatches
from mtlkit.datasets.turned import TurnedBatches

__all__ = [
    "ClassBalancedBatches",
    "MultiTaskData",
    "PlantedData",
    "TaskBatches",
    "TurnedBatches",
    "default_model",
    "load_image_folder",
    "load_npz",
    "load_table",
    "planted",
    "planted_conditions",
    "rotate_images",
    "rotated_digits",
    "rotated_fashion_mnist",
]
