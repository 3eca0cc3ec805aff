"""Scalars for TensorBoard, by whichever library is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any


def scalar_writer(log_dir: str | os.PathLike[str]) -> Callable[[str, float, int], None]:
    """Returns a function of tag, value and step that writes a scalar, which is there at once.

    Raises:
        ValueError: If neither TensorBoard nor TensorFlow is installed.
    """
    folder = os.fspath(log_dir)
    os.makedirs(folder, exist_ok=True)
    writer: Any = None
    try:
        Writer: Any = import_module("tensorboard.summary").Writer
    except ImportError:
        pass
    else:

        def write(tag: str, value: float, step: int) -> None:
            nonlocal writer
            writer = writer or Writer(folder)
            writer.add_scalar(tag, value, step)
            writer.flush()

        return write
    try:
        import tensorflow as tf
    except ImportError:
        raise ValueError(
            "Expected TensorBoard or TensorFlow to be installed, to write scalars into log_dir: "
            f"pip install tensorboard. Received: log_dir={folder!r}, and neither of them"
        ) from None

    def write_by_tensorflow(tag: str, value: float, step: int) -> None:
        nonlocal writer
        writer = writer or tf.summary.create_file_writer(folder)
        with writer.as_default():
            tf.summary.scalar(tag, value, step)
        writer.flush()

    return write_by_tensorflow
