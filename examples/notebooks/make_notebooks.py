"""Makes a notebook of each of four example scripts, which are what is kept by hand.

`python examples/notebooks/make_notebooks.py` writes them beside this file. Text cells are the
docstrings of a script and the comments in its `main`; code cells are what stands under them. A
function comes just before what calls it, and options of the command line become settings.
"""

from __future__ import annotations

import argparse
import ast
import json
import textwrap
from pathlib import Path

HERE = Path(__file__).parent

#: The titles, by the name of the script.
TITLES = {
    "quickstart": "Quickstart",
    "adopt_keras_model": "Adopting a Keras model",
    "search_orientation_head": "Searching a head",
    "diagnose_stuck_task": "Diagnosing a stuck task",
}
#: What is shown at the end: pictures that a script only saves.
SHOWN = {
    "quickstart": (
        "What is predicted for what is true, with the first model and with the last one.",
        'import PIL.Image\n\nPIL.Image.open(arguments.output / "confusion.png")',
    )
}


class Script:
    """An example script, taken apart."""

    def __init__(self, path: Path) -> None:
        text = path.read_text()
        tree = ast.parse(text)
        self.name, self.lines = path.name, text.splitlines()
        self.docstring = ast.get_docstring(tree) or ""
        *body, _ = tree.body[1:]  # without the docstring and the call of `main`
        self.main = next(one for one in body if getattr(one, "name", None) == "main")
        rest = [one for one in body if one is not self.main]
        imports = [one for one in rest if isinstance(one, ast.Import | ast.ImportFrom)]
        self.imports = "\n".join(self.lines[imports[0].lineno - 1 : imports[-1].end_lineno])
        self.definitions = {name: one for one in rest for name in defined_names(one)}

    def source(self, node: ast.stmt) -> tuple[str, str]:
        """Returns the comment above a definition, or its docstring, and its code."""
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda one: one.lineno).lineno
        code = "\n".join(self.lines[first - 1 : node.end_lineno])
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            return f"`{node.name}`: {ast.get_docstring(node)}", code
        return "", code

    def needed(self, code: str, before: list[ast.stmt]) -> list[ast.stmt]:
        """Returns the definitions that code needs and that are not there before, in their order."""
        found: list[ast.stmt] = []
        for node in ast.walk(ast.parse(code)):
            one = self.definitions.get(getattr(node, "id", ""))
            if one is not None and one not in [*before, *found]:
                _, own = self.source(one)
                found += [*self.needed(own, [*before, *found, one]), one]
        return found

    def blocks(self) -> list[tuple[str, str]]:
        """Returns comment and code of each block of `main`: what stands between empty lines."""
        lines = self.lines[self.main.body[1].lineno - 1 : self.main.end_lineno]
        blocks = []
        for block in textwrap.dedent("\n".join(lines)).split("\n\n"):
            rows = block.splitlines()
            comment = [row for row in rows if row.startswith("# ")]
            text = " ".join(row.removeprefix("# ") for row in comment)
            blocks.append((text, "\n".join(row for row in rows if row not in comment)))
        return blocks


def defined_names(node: ast.stmt) -> list[str]:
    """Returns the names that a statement at the top of a script defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        stored = (one for target in node.targets for one in ast.walk(target))
        return [one.id for one in stored if isinstance(one, ast.Name)]
    return []


def settings(code: str, doc: str) -> str:
    """Returns a line that sets what the options of a script are by default."""
    names: dict = {"argparse": argparse, "Path": Path, "__doc__": doc}
    target, _, _ = code.splitlines()[-1].partition(" = ")
    exec(code.replace(".parse_args()", ".parse_args([])"), names)
    values = "".join(
        f"    {name}={f'Path({str(value)!r})' if isinstance(value, Path) else repr(value)},\n"
        for name, value in vars(names[target]).items()
    )
    return f"{target} = SimpleNamespace(\n{values})"


def notebook(name: str) -> dict:
    """Returns the notebook of a script, as it is written to a file."""
    script = Script(HERE.parent / f"{name}.py")
    first, *paragraphs = script.docstring.split("\n\n")
    about = [one for one in paragraphs if not one.startswith("Run it with")]
    made = f"mtlkit has to be installed. This notebook is made of `examples/{script.name}`."
    cells = [("\n\n".join([f"# {TITLES[name]}", first, *about, made]), "")]

    imports = (
        script.imports.replace("import argparse\n", "") + "\nfrom types import SimpleNamespace"
    )
    cells.append(("", imports))
    (_, options), *blocks = script.blocks()
    written: list[ast.stmt] = []
    cells.append(("Settings. Fewer epochs are faster, and score less.", settings(options, first)))
    for text, code in blocks:
        needed = script.needed(code, written)
        cells += [script.source(one) for one in needed] + [(text, code)]
        written += needed
    cells += [SHOWN[name]] if name in SHOWN else []
    return as_notebook(cells)


def as_notebook(parts: list[tuple[str, str]]) -> dict:
    """Returns cells by turns of text and code; code without a text joins the code before it."""
    cells: list[dict] = []
    for text, code in parts:
        if text:
            cells.append({"cell_type": "markdown", "metadata": {}, "source": text})
        if code and cells[-1]["cell_type"] == "code":
            cells[-1]["source"] += f"\n\n{code}"
        elif code:
            tags = {"tags": ["parameters"]} if "= SimpleNamespace(" in code else {}
            own = {"execution_count": None, "outputs": []}
            cells.append({"cell_type": "code", "metadata": tags, "source": code, **own})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
        cell["source"] = cell["source"].splitlines(keepends=True)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def as_text(name: str) -> str:
    """Returns the text of the file."""
    return json.dumps(notebook(name), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in TITLES:
        (HERE / f"{name}.ipynb").write_text(as_text(name))
