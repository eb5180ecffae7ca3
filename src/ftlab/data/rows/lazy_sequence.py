"""Lazy sequence: elements are made when they are accessed."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """Sequence whose subclass makes one element at a time; a slice is a list of elements."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._element(number) for number in range(*index.indices(len(self)))]
        return self._element(index)

    @abstractmethod
    def _element(self, index: int) -> T:
        """Return the element at this index.

        Raises:
            IndexError: the index is out of range.
        """
