"""Pluggable parts for multi-task learning in Keras 3."""

__version__ = "0.1.0"
