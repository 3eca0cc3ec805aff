"""Columns of a table, from a file or from pandas: which are what, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._warnings import warn
from mtlkit.datasets._label_reader import LabelReader

#: The files of tables that can be read.
TABLES = (".csv", ".tsv", ".parquet")


def read_table(path: Path) -> Any:
    """Reads a CSV or Parquet file into a table of pandas."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "Expected pandas, which reads tables. Received: no such package. "
            'Install it: pip install "mtlkit[table]"'
        ) from error

    readers = {
        ".csv": pandas.read_csv,
        ".tsv": lambda path: pandas.read_csv(path, sep="\t"),
        ".parquet": pandas.read_parquet,
    }
    if path.suffix.lower() not in TABLES:
        raise ValueError(f"Expected a table in {', '.join(TABLES)}. Received: '{path}'")
    if not path.exists():
        raise FileNotFoundError(f"Expected a table. Received: '{path}', which is not there")
    try:
        table = readers[path.suffix.lower()](path)
    except ImportError as error:
        raise ImportError(
            "Expected pyarrow, which reads Parquet files. Received: no such package. "
            'Install it: pip install "mtlkit[table]"'
        ) from error
    except (ValueError, OSError) as error:
        raise ValueError(f"Expected a whole table in '{path}'. Received: {error}") from error
    if not len(table):
        raise ValueError(f"Expected a table with rows. Received: none in '{path}'")
    if len(table.columns) == 1 and ";" in (header := str(table.columns[0])):
        raise ValueError(
            f"Expected columns with commas between them in '{path}'. Received: semicolons, as in "
            f"{header!r}. Save it with commas, or read it with pandas: "
            f"table = pandas.read_csv({str(path)!r}, sep=';', decimal=',')"
        )
    return table


def check_columns(table: Any, wanted: Sequence[str | None]) -> None:
    """Raises a ValueError where a column is not there, or is there twice."""
    columns = [str(name) for name in table.columns]
    if missing := [name for name in wanted if name is not None and name not in columns]:
        raise ValueError(
            f"Expected columns out of {', '.join(columns)}. Received: {', '.join(missing)}"
        )
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise ValueError(f"Expected each column once. Received: {', '.join(twice)} twice")


def column(table: Any, name: str | None) -> NDArray | None:
    """A column as it is, of which no entry is missing; `None` without a name."""
    if name is None:
        return None
    values = table[name]
    if (gaps := values.isna().to_numpy()).any():
        raise ValueError(
            f"Expected the column {name!r} without gaps. Received: none in row {gaps.argmax() + 1}"
        )
    return np.asarray(values.tolist())


def input_columns(table: Any, names: Sequence[str]) -> NDArray[np.float32]:
    """Columns of finite numbers, of shape `(rows, columns)`."""
    if not names:
        raise ValueError(
            "Expected at least one column of inputs, beside those of labels. Received: none"
        )
    faults = {name: fault for name in names if (fault := _fault(table[name]))}
    if faults:
        received = "; ".join(f"{name!r}: {fault}" for name, fault in faults.items())
        raise ValueError(
            f"Expected finite numbers in the columns of inputs. Received: {received}. Turn them "
            "into numbers and fill gaps, or name a column as a task, or leave it out with `ignore`"
        )
    return np.stack([_numbers(table[name], name) for name in names], axis=1)


def label_column(table: Any, task: str) -> NDArray[Any]:
    """Labels: words as they are, whole numbers that count from 0 as classes, others as values.

    In a column of whole numbers -1 means unlabelled, unless there are smaller ones.
    """
    values = table[task]
    if _is_numeric(values):
        whole = values.dtype.kind in "iu"
        values = np.array(values.astype("float64").to_numpy(na_value=np.nan))
        if whole and np.nanmin(values, initial=0) == -1:  # as in arrays: no label
            warn(
                f"Column {task!r}: -1 in {np.sum(values == -1)} rows is taken for no label. If it "
                f"is a number, make the column one of floats: table[{task!r}].astype(float)"
            )
            values[values == -1] = np.nan
        return LabelReader(values, task).read(values)
    return np.array(
        [None if gap else str(one) for one, gap in zip(values, values.isna(), strict=True)], object
    )


def _is_numeric(values: Any) -> bool:
    return getattr(values.dtype, "kind", "O") in "biuf"


def _fault(values: Any) -> str:
    """What is wrong with a column of inputs; empty if nothing is."""
    if not _is_numeric(values):
        said = next((one for one in values if not isinstance(one, int | float)), values.iloc[0])
        return f"{said!r} in row {values.tolist().index(said) + 1}"
    wrong = ~np.isfinite(_float32(values))
    if not wrong.any():
        return ""
    return (
        f"gaps or infinite numbers in {wrong.sum()} of {len(wrong)} rows, the first in row "
        f"{wrong.argmax() + 1}"
    )


def _numbers(values: Any, name: str) -> NDArray[np.float32]:
    numbers = _float32(values)
    if len(np.unique(numbers)) < len(np.unique(values)) / 2:
        warn(
            f"Input column {name!r}: float32 does not tell its numbers apart, such as "
            f"{values.iloc[0]!r}. Subtract their minimum, or leave it out with `ignore`"
        )
    return numbers


def _float32(values: Any) -> NDArray[np.float32]:
    return values.astype("float64").to_numpy(na_value=np.nan).astype("float32")
