"""Reading IDX files, the format of MNIST and its relatives."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTES = 8


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Reads an array of unsigned bytes from an IDX file.

    Returns:
        A read-only uint8 array of the shape that the file declares.
    """
    content = _read(Path(path))
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTES]):
        raise ValueError(
            f"Expected '{path}' to be an IDX file of unsigned bytes, starting with 00 00 08. "
            f"Received: {content[:3].hex(' ') or 'an empty file'}"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(
            f"Expected '{path}' to have a header of {start} bytes. Received: {len(content)} bytes"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    values = np.frombuffer(content, dtype="uint8", offset=start)
    expected = int(np.prod(shape, dtype=object))
    if values.size != expected:
        raise ValueError(
            f"Expected '{path}' to hold {expected:,} values for the shape {shape} in its header. "
            f"Received: {values.size:,} values; the file may be cut off"
        )
    return values.reshape(shape)


def _read(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"Expected '{path}' to be an intact gzip file. Received: {error}"
        ) from error
