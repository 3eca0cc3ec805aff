"""The examples in the docstrings run, and every public name has one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import mtlkit

FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(mtlkit.__path__, "mtlkit.")
]


def documented():
    """Yields (where, docstring) of modules, and of the classes and functions they define."""
    for module in [mtlkit, *MODULES]:
        yield module.__name__, inspect.getdoc(module) or ""
        for name, member in vars(module).items():
            if getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(member):
                yield f"{module.__name__}.{name}", vars(member).get("__doc__") or ""
                for method_name, method in vars(member).items():
                    doc = getattr(method, "__doc__", None)
                    if inspect.isroutine(method) and doc and not method_name.startswith("__"):
                        yield f"{module.__name__}.{name}.{method_name}", doc
            elif inspect.isfunction(member):
                yield f"{module.__name__}.{name}", member.__doc__ or ""


EXAMPLES = [
    pytest.param(inspect.cleandoc(code), id=f"{where}-{number}")
    for where, doc in documented()
    for number, code in enumerate(FENCE.findall(inspect.cleandoc(doc)))
]


def test_examples_are_found():
    assert len(EXAMPLES) > 40


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # the fault of preflight's example
@pytest.mark.parametrize("code", EXAMPLES)
def test_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<example>", "exec"), {"__name__": "__example__"})


def test_public_names_have_examples():
    """Every name that a room's __all__ exports shows how to use it."""
    for module in [mtlkit, *MODULES]:
        for name in getattr(module, "__all__", ()):
            member = getattr(module, name)
            if inspect.isclass(member) or inspect.isfunction(member):
                assert FENCE.search(member.__doc__ or ""), f"{module.__name__}.{name}"
