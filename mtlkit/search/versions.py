"""What a search ran with."""

from __future__ import annotations

import platform
from importlib import import_module, metadata

import keras
import numpy as np

import mtlkit


def versions() -> dict[str, str]:
    """Returns the versions of what a search depends on.

    Returns:
        Versions by name, with the backend of Keras among them.

    Example:
        ```python
        from mtlkit.search.versions import versions

        assert "keras" in versions()
        ```
    """
    backend = keras.backend.backend()
    return {
        "mtlkit": mtlkit.__version__,
        "keras": keras.__version__,
        f"{backend} (backend)": import_module(backend).__version__,
        "keras-tuner": metadata.version("keras-tuner"),
        "numpy": np.__version__,
        "Python": platform.python_version(),
        "system": platform.platform(),
    }
