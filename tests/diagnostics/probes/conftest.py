"""Data and models in trouble, shared by the tests of probes."""

from __future__ import annotations

import pytest
from diagnostics.probes.planted_users import split, user


@pytest.fixture(scope="package")
def data():
    """`x, y, x_val, y_val`."""
    return split()


@pytest.fixture(scope="package")
def healthy():
    return user(epochs=12)


@pytest.fixture(scope="package")
def pooled():
    return user("average")
