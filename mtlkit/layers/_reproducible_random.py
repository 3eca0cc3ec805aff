"""Random numbers that are the same on every backend."""

from __future__ import annotations

from typing import Any

from keras import ops

#: What neighbouring seeds are apart, in calls: 2**32 over the golden ratio.
_SEED_STEP = 0x9E3779B9


def random_bits(shape: Any, call: Any, seed: int) -> Any:
    """Draws whole numbers in `[0, 2**31)` from position, call and seed by an integer hash.

    Args:
        shape: Shape of the result; may hold tensors.
        call: Which draw it is, an int32 tensor.
        seed: Seed of the draws, a whole number.
    Reference:
        Wellons, lowbias32 of [Hash Function
        Prospector](https://github.com/skeeto/hash-prospector)
    """
    ones = ops.ones(shape, dtype="int32")
    position = ops.reshape(ops.cumsum(ops.reshape(ones, (-1,))), ops.shape(ones))
    start = (int(seed) * _SEED_STEP + 2**31) % 2**32 - 2**31  # as int32 numbers wrap around
    key = _hash(ops.cast(call, "int32") + start)
    return ops.bitwise_and(_hash(ops.bitwise_xor(position, key)), 0x7FFFFFFF)


def random_uniform(shape: Any, call: Any, seed: int) -> Any:
    """Draws numbers in `[-1, 1]`, float32, alike on every backend.

    Args:
        shape: Shape of the result; may hold tensors.
        call: Which draw it is, an int32 tensor.
        seed: Seed of the draws, a whole number.
    """
    return ops.cast(random_bits(shape, call, seed), "float32") * 2.0**-30 - 1.0


def _hash(x: Any) -> Any:
    """Mixes the bits of int32 numbers; products wrap around."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        x = ops.bitwise_xor(x, _shift_right(x, shift))
        x = x * ops.cast(factor, "int32")
    return ops.bitwise_xor(x, _shift_right(x, 16))


def _shift_right(x: Any, bits: int) -> Any:
    """A shift that fills in zeros, also for negative numbers."""
    return ops.bitwise_and(ops.bitwise_right_shift(x, bits), (1 << (32 - bits)) - 1)
