"""Data sets: rotated images with three tasks, and users' own arrays."""

from mtlkit.datasets.rotation import rotate_images
