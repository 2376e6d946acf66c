"""Who is who among evaluated pictures, and who is surely somebody else.

In a folder the names say it. In a list of pairs people are what 'Yes' connects; two of them are known
to be different only where some 'No' stands between them, and are never compared otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.evaluate.sources import Source


@dataclass(frozen=True, slots=True)
class People:
    """`of[picture]` is a person's place; `different[a, b]` says whether a and b are surely two."""

    of: npt.NDArray[np.intp]
    different: npt.NDArray[np.bool_]
    named: bool  # whether the source says who is who

    def __len__(self) -> int:
        return len(self.different)


def of_source(source: Source) -> People:
    """The people of all pictures of a source."""
    if all(picture.person for picture in source.pictures):
        names = sorted({picture.person for picture in source.pictures})
        places = {name: place for place, name in enumerate(names)}
        of = np.array([places[picture.person] for picture in source.pictures], np.intp)
        return People(of, ~np.eye(len(names), dtype=bool), named=True)
    of = _connected(source)
    different = np.zeros((int(of.max()) + 1,) * 2, bool)
    apart = ~source.same
    different[of[source.first[apart]], of[source.second[apart]]] = True
    different |= different.T
    np.fill_diagonal(different, val=False)
    return People(of, different, named=False)


def _connected(source: Source) -> npt.NDArray[np.intp]:
    """Groups of pictures that pairs of one person connect."""
    root = list(range(len(source.pictures)))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for first, second in zip(source.first[source.same].tolist(), source.second[source.same].tolist(), strict=True):
        root[find(first)] = find(second)
    roots = [find(place) for place in range(len(root))]
    places = {each: place for place, each in enumerate(dict.fromkeys(roots))}
    return np.array([places[each] for each in roots], np.intp)
