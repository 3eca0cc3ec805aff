"""What a search ran with."""

from __future__ import annotations

import platform
from importlib import metadata

import keras

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
    names = ["keras", backend, "keras-tuner", "numpy", "scikit-learn"]
    found = {name: _version(name) for name in names}
    return {
        "mtlkit": mtlkit.__version__,
        **found,
        "Keras backend": backend,
        "Python": platform.python_version(),
        "system": platform.platform(),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # such as TensorFlow under another name
        return "unknown"
