import gzip

import numpy as np
import pytest

from mtlkit.datasets._idx import read_idx

INTACT = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255])


def test_reads_plain_and_compressed_files(tmp_path):
    (tmp_path / "plain").write_bytes(INTACT)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(INTACT))
    for name in ("plain", "packed.gz"):
        array = read_idx(tmp_path / name)
        np.testing.assert_array_equal(array, [[1, 2, 3], [4, 5, 255]])
        assert array.dtype == "uint8"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\x89PNG\r\n", "89 50 4e"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 7]), "00 00 0d"),  # floats
        (INTACT[:10], "header of 12 bytes.*10 bytes"),
        (INTACT[:12], r"6 values.*\(2, 3\).*0 values"),
        (INTACT[:-1], r"6 values.*\(2, 3\).*5 values"),
        (INTACT + b"\0", r"6 values.*\(2, 3\).*7 values"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "cut off"),
    ],
)
def test_corrupt_files_are_errors(tmp_path, content, words):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"labels.*{words}"):
        read_idx(path)


@pytest.mark.parametrize(
    "content",
    [INTACT, gzip.compress(INTACT)[:-9], gzip.compress(INTACT)[:12] + b"\xff" * 20],
    ids=["not packed", "cut off", "broken"],  # a packed file holds the time
)
def test_corrupt_gzip_files_are_errors(tmp_path, content):
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"labels\.gz.*intact gzip"):
        read_idx(path)
