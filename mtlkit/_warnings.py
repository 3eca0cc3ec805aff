"""Warnings that point at the user's own line."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

import keras

#: Folders of the libraries, and a file that stands between their functions.
_LIBRARIES = (
    *(str(Path(one.__file__ or "").parent) + os.sep for one in (sys.modules[__package__], keras)),
    contextlib.__file__,
)


def warn(message: str) -> None:
    """Warns of something at the innermost line that is neither of mtlkit nor of Keras."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
