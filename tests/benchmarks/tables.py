"""The tables of the documentation, made of the results that are kept; it measures nothing.

    python tests/benchmarks/tables.py            # prints all tables and writes them into the pages
    python tests/benchmarks/tables.py --check    # says which pages differ from the results

A table of a page stands between `<!-- table: NAME -->` and `<!-- end of table -->`, and its row in
`TABLES` says which command measures it. Tables without such marks are written by hand; the
command lists them at the end.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import table_texts as texts

HERE = Path(__file__).parent
RESULTS, DOCS = HERE / "results", HERE.parents[1] / "docs"
PAGE = "guide/benchmarks.md"
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)


class Table(NamedTuple):
    """A table: its name in the page, the command that measures it, its file, how it is written."""

    name: str
    command: str
    results: str
    write: Callable[[Any], str]
    page: str = PAGE


FOLDER = "balancing.py FOLDER --data"
TABLES = (
    Table(
        "search", "search.py --minutes 15 --json results/search.json", "search.json", texts.search
    ),
    Table("poses", "poses.py --json results/poses.json", "poses.json", texts.poses),
    Table("poses-contexts", "poses.py --json results/poses.json", "poses.json", texts.contexts),
    Table("dense", "dense.py FOLDER", "dense.json", texts.dense),
    Table("plane", "balancing_synthetic.py plane", "balancing_synthetic.json", texts.plane),
    Table(
        "kinds-of-tasks",
        "balancing_synthetic.py tasks",
        "balancing_synthetic.json",
        texts.kinds_of_tasks,
    ),
    *(
        Table(f"balancing-{name}", f"{FOLDER} {name}", f"balancing_{name}.json", texts.compared)
        for name in ("clothing", "rotfashion", "eth80", "grocery")
    ),
    Table(
        "balancing-overhead",
        "balancing_overhead.py",
        "balancing_overhead.json",
        texts.balancing_overhead,
    ),
    Table(
        "frozen-features",
        "frozen_features.py FEATURES.npz --json results/frozen_features.json",
        "frozen_features.json",
        texts.frozen_features,
    ),
    Table("overhead", "overhead.py --json results/overhead.json", "overhead.json", texts.overhead),
    *(
        Table(f"scale-{axis}", f"scale.py --parts {axis}", "scale.json", texts.scale(axis, title))
        for axis, title in (
            ("tasks", "tasks"),
            ("classes", "classes"),
            ("side", "pixels a side"),
            ("samples", "samples"),
        )
    ),
    Table("scale-stream", "scale.py --parts stream", "scale.json", texts.stream),
    Table(
        "heads-fashion",
        "heads.py --data rotated-fashion-mnist --epochs 5 --json results/fashion.json",
        "fashion.json",
        texts.heads(times=True),
        "guide/which_head.md",
    ),
    Table(
        "heads-digits",
        "heads.py --data rotated-digits --json results/digits.json",
        "digits.json",
        texts.heads(times=False),
        "guide/which_head.md",
    ),
)


def text_of(table: Table) -> str | None:
    """The table as the page has it; `None` where there are no results."""
    path = RESULTS / table.results
    if not path.is_file():
        return None
    return table.write(json.loads(path.read_text())) or None


def rewritten(page: str, text: str) -> str:
    """A page with the tables that the results give."""
    tables = {table.name: table for table in TABLES if table.page == page}
    unknown = {name for _, name, _, _ in MARKED.findall(text)} - set(tables)
    if unknown:
        raise ValueError(f"Expected tables out of {list(tables)} in {page}. Received: {unknown}")

    def marked(found: re.Match[str]) -> str:
        begin, name, _, end = found.groups()
        body = text_of(tables[name])
        return f"{begin}\n{body}\n\n{end}" if body else found[0]  # what is there is kept

    return MARKED.sub(marked, text)


def homeless(page: str, text: str) -> list[str]:
    """The tables that have results and no place in their page."""
    placed = {name for _, name, _, _ in MARKED.findall(text)}
    own = [table for table in TABLES if table.page == page and table.name not in placed]
    return [table.name for table in own if text_of(table)]


def by_hand(text: str) -> Iterator[str]:
    """The sections of a page that have a table which no results give."""
    section, last = "", None
    for line in MARKED.sub("", text).splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if re.fullmatch(r"\|[-:| ]+\|", line) and section != last:
            yield (last := section)


def pages() -> list[str]:
    """The pages that have tables of results."""
    return list(dict.fromkeys(table.page for table in TABLES))


def main() -> None:
    """Prints and writes the tables, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if pages differ")
    arguments = parser.parse_args()
    if not arguments.check:
        for table in TABLES:
            print(f"## {table.name}: python tests/benchmarks/{table.command}\n")
            print(text_of(table) or f"No results in {table.results}.", end="\n\n")
    differing, without_place = [], []
    for page in pages():
        path = DOCS / page
        old = path.read_text()
        new = rewritten(page, old)
        if new != old:
            differing.append(page)
            if not arguments.check:
                path.write_text(new)
        without_place += homeless(page, new)
        for section in by_hand(new):
            print(f"Written by hand: {page}, {section}")
    if without_place:
        sys.exit(f"Expected <!-- table: NAME --> in their pages for {without_place}")
    if arguments.check and differing:
        sys.exit(f"Run tests/benchmarks/tables.py: the results say otherwise than {differing}")


if __name__ == "__main__":
    main()
