"""The versions that a diagnosis was made with."""

from __future__ import annotations

from importlib.metadata import version


def versions() -> dict[str, str]:
    """Returns the versions of what computes, by name."""
    import keras

    import mtlkit

    return {
        "mtlkit": mtlkit.__version__,
        "keras": f"{keras.__version__} on {keras.backend.backend()}",
        "numpy": version("numpy"),
        "scikit-learn": version("scikit-learn"),
    }
