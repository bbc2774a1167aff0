"""Seeds that depend on names and numbers, never on order or workers."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from an ordered list of names and numbers.

    The same parts give the same seed on every machine and Python version. Parts are
    separated, so ("a", "bc") and ("ab", "c") differ.

    Args:
        parts: for example (recipe seed, epoch, image_id, copy).
    """
    digest = blake2b(repr(tuple(parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*parts: int | str) -> np.random.Generator:
    """A NumPy generator seeded with `derive_seed(*parts)`."""
    return np.random.Generator(np.random.PCG64(derive_seed(*parts)))
