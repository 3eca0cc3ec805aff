"""Users' own tables: numbers as inputs, columns of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtlkit.datasets._made import made, parts_of
from mtlkit.datasets._split_rows import split_rows
from mtlkit.datasets._table_columns import (
    check_columns,
    column,
    input_columns,
    label_column,
    read_table,
)
from mtlkit.datasets.multitask_data import MultiTaskData


def load_table(
    table: Any,
    tasks: Sequence[str],
    *,
    ignore: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    split: str | None = None,
    group: str | None = None,
    seed: int = 0,
) -> MultiTaskData:
    """Loads a table: some columns are labels, all others are inputs, and have to be numbers.

    Labels that are words become classes, in the order of the alphabet, and their names are kept
    (`class_names`). Whole numbers that count from 0, leave none out and occur twice are classes,
    too; other numbers are values, unless `kinds` says more. Gaps are unlabelled.

    Args:
        table: A CSV, TSV or Parquet file, which pandas reads (`pip install "mtlkit[table]"`), or a
            `pandas.DataFrame`.
        tasks: Names of the columns that are labels.
        ignore: Columns that are neither inputs nor labels, such as a number of the row.
        kinds: What labels are, by task, as for `MultiTaskData.with_kinds`.
        split: Column with the split of each row, `"train"`, `"val"` or `"test"`. `None`: `"split"`,
            if there is such a column; else splits are drawn, 70, 15 and 15 % of the rows.
        group: Column that says what each row belongs to, such as a person: rows of a group stay
            in one split. It is no input. `None`: none.
        seed: Seed of the splits that are drawn.

    Returns:
        The data, with float32 inputs of shape `(samples, columns)`, named after the file.

    Raises:
        ImportError: If pandas, or pyarrow for Parquet, is not there.
        FileNotFoundError: If there is no such file.
        ValueError: If a column is not there, an input is no finite number, or labels or splits
            cannot be read.

    Example:
        ```python
        import numpy as np
        import pandas

        from mtlkit.datasets import load_table

        rng = np.random.default_rng(0)
        table = pandas.DataFrame(
            {
                "width": rng.random(40),
                "height": rng.random(40),
                "price": rng.random(40),
                "colour": rng.choice(["blue", "red"], 40),
            }
        )
        data = load_table(table, ["colour", "price"])
        assert data.x_train.shape[1] == 2 and data.class_names["colour"] == ["blue", "red"]
        print(data.summary())
        ```
    """
    name = "table"
    if isinstance(table, str | Path):
        name, table = Path(table).stem, read_table(Path(table))
    table = table.rename(columns=str)
    if isinstance(tasks, str) or not tasks:
        raise ValueError(
            "Expected `tasks`: a list of the columns that are labels, out of "
            f"{', '.join(map(str, table.columns))}. Received: {tasks or 'none'}"
        )
    split = "split" if split is None and "split" in table.columns else split
    check_columns(table, [*tasks, *ignore, split, group])
    inputs = [one for one in table.columns if one not in {*tasks, *ignore, split, group}]
    x = input_columns(table, inputs)
    y = {task: label_column(table, task) for task in tasks}
    rows = split_rows(len(table), column(table, split), column(table, group), seed)
    return made(parts_of(x, y, rows), name, kinds)
