"""What a search or a diagnosis ran with."""

from __future__ import annotations

import platform
from importlib import import_module, metadata

import keras


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of what computes."""
    import mtlkit  # not before it is complete

    backend = keras.backend.backend()
    return {
        "mtlkit": mtlkit.__version__,
        "keras": keras.__version__,
        f"{backend} (backend)": import_module(backend).__version__,
        "numpy": metadata.version("numpy"),
        **{package: metadata.version(package) for package in packages},
        "Python": platform.python_version(),
        "system": platform.platform(),
    }
