"""Which message ids may have been seen: a growing Bloom filter in front of the exact look-up.

Live events are new, and the filter says so without touching the store: an exact look-up of every id would read more with every day of
history. What it suspects (0.4 % of new ids when full) is looked up exactly. Filters double in size as they fill, so that memory follows
the number of ids: 1.6 to 3.3 bytes an id.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_PROBES: Final = 4
_BITS_PER_KEY: Final = 13
_FIRST: Final = 1 << 24  # bits: 2 MiB, for 1.3 M ids
_LARGEST: Final = 1 << 31


class Seen:
    """A set of 64-bit keys that may say yes wrongly, and never no."""

    def __init__(self) -> None:
        self._filters: list[npt.NDArray[np.uint8]] = [np.zeros(_FIRST >> 3, dtype=np.uint8)]
        self._count = 0

    def suspects(self, keys: Keys) -> Keys:
        """Those of `keys` that may be there."""
        found = np.zeros(len(keys), dtype=bool)
        for bits in self._filters:
            hit = np.ones(len(keys), dtype=bool)
            for byte, bit in _places(keys, bits):
                hit &= (bits[byte] & bit) != 0
            found |= hit
        return keys[found]

    def add(self, keys: Keys) -> None:
        """From now on these are there."""
        bits = self._filters[-1]
        if self._count + len(keys) > (len(bits) << 3) // _BITS_PER_KEY and self._count:
            bits = np.zeros(min(len(bits) * 2, _LARGEST >> 3), dtype=np.uint8)
            self._filters.append(bits)
            self._count = 0
        self._count += len(keys)
        for byte, bit in _places(keys, bits):
            np.bitwise_or.at(bits, byte, bit)

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(len(bits) for bits in self._filters)


def _places(keys: Keys, bits: npt.NDArray[np.uint8]) -> list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]]:
    mask = np.uint64((len(bits) << 3) - 1)
    step = (keys >> np.uint64(32)) | np.uint64(1)
    places: list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]] = []
    for probe in range(_PROBES):
        place = (keys + np.uint64(probe) * step) & mask
        places.append((place >> np.uint64(3), np.left_shift(np.uint8(1), (place & np.uint64(7)).astype(np.uint8))))
    return places
