"""The fast comparison finds whom the plain one finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vision.compare import Gallery, Near, pooled_distance


def plain(people: list[str], owners: list[int], templates: np.ndarray, query: np.ndarray) -> list[Near]:
    """The same by the letter of the rule, person by person."""
    found = []
    for place, person in enumerate(people):
        own = [row for row, owner in enumerate(owners) if owner == place]
        if own:
            found.append(Near(person, pooled_distance([float(np.linalg.norm(templates[row] - query)) for row in own])))
    return sorted(found, key=lambda near: near.distance)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=40), st.integers(0, 2**32 - 1))
def test_it_finds_the_two_nearest_whoever_has_how_many_templates(owners: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    templates = random.normal(0, 0.15, (len(owners), 128)).astype(np.float32)
    query = random.normal(0, 0.15, 128).astype(np.float32)
    people = [f"p{place}" for place in range(8)]
    gallery = Gallery(people, owners, templates)
    wanted = plain(people, owners, templates.astype(np.float64), query.astype(np.float64))
    found = gallery.nearest(query)
    assert [near.person for near in found] == [near.person for near in wanted[:2]]
    assert [near.distance for near in found] == pytest.approx([near.distance for near in wanted[:2]], abs=1e-5)
    assert gallery.scores(query) == pytest.approx({near.person: near.distance for near in wanted}, abs=1e-3)
    assert len(gallery) == len(set(owners))


def test_nobody_is_nearest_in_an_empty_gallery() -> None:
    gallery = Gallery([], [], np.empty((0, 128), np.float32))
    assert gallery.nearest(np.zeros(128)) == []
    assert gallery.scores(np.zeros(128)) == {}
    assert gallery.impostors(3).shape == (0, 0)
    assert gallery.templates == 0


def test_people_without_a_template_are_nobody() -> None:
    gallery = Gallery(["a", "b", "c"], [1], np.ones((1, 128), np.float32))
    assert [near.person for near in gallery.nearest(np.ones(128))] == ["b"]
    assert gallery.nearest(np.ones(128))[0].distance == 0


def test_one_odd_template_of_somebody_else_does_not_win() -> None:
    query = np.zeros(128, np.float32)
    near, far = np.full(128, 0.02, np.float32), np.full(128, 0.07, np.float32)
    gallery = Gallery(["steady", "odd"], [0, 0, 1, 1], np.stack([near, near, query, far]))
    assert gallery.nearest(query)[0].person == "steady"


def test_rows_must_have_owners() -> None:
    with pytest.raises(ValueError, match="templates"):
        Gallery(["a"], [0, 0], np.ones((1, 128)))


def test_impostors_are_everybody_against_everybody_else() -> None:
    random = np.random.default_rng(0)
    templates = random.normal(0, 0.1, (20, 128)).astype(np.float32)
    gallery = Gallery([str(place) for place in range(10)], np.repeat(np.arange(10), 2), templates)
    scores = gallery.impostors(2)
    assert scores.shape == (10, 10)
    assert np.isnan(np.diag(scores)).all()
    assert np.isfinite(scores[~np.eye(10, dtype=bool)]).all()
    own = templates[:2].mean(axis=0)
    assert scores[0, 3] == pytest.approx(gallery.scores(own)["3"], abs=1e-6)
    assert gallery.impostors(2, most=4).shape == (4, 4)
