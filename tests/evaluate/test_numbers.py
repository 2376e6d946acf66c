"""The figures the README promises, on labelled faces (tier 3: needs ../shared)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.evaluate import faces, unseen
from gateway.evaluate.door import Rule
from gateway.evaluate.faces import Measured
from gateway.evaluate.people import of_source
from gateway.evaluate.sources import of_folder
from gateway.vision import engines


@pytest.mark.parametrize("detector", ["yunet", "blazeface"])
def test_residents_pass_and_strangers_do_not(shared: Path, detector: str) -> None:
    source = of_folder(shared / "data" / "faces" / "att")
    engine = engines.load("onnx", extra_models=shared / "models", detector=detector)
    measured = faces.measure(engine, source, timed=0)
    door = faces.report(engine, source, measured, 0.001, None).document["door"]
    assert len(measured.found) >= 198  # what the naive flow finds
    assert isinstance(door, dict)
    assert door["accepted"] >= 0.99 * door["residents"] > 0
    assert door["strangers"] > 0
    assert door["let_in"] == 0
    people = of_source(source)
    of = people.of[measured.found]
    vectors = {int(person): measured.vectors[of == person] for person in np.unique(of)}
    halved = unseen.play(vectors, people, Rule(0.001, engine.name, engine.detector, 3, 5))
    assert halved is not None
    assert halved.let_in == 0 < halved.strangers
    assert halved.accepted >= 0.97 * halved.residents


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_the_fast_engine_is_as_good_as_the_named_package_on_what_both_find(shared: Path) -> None:
    source = of_folder(shared / "data" / "faces" / "att")
    fast = faces.measure(engines.load("onnx", extra_models=shared / "models", detector="yunet"), source, timed=0)
    naive = faces.measure(engines.load("face-recognition"), source, timed=0)
    assert len(fast.found) >= len(naive.found)
    both = np.intersect1d(fast.found, naive.found)
    rates = []
    for measured in (fast, naive):
        kept = Measured(both, measured.vectors[np.isin(measured.found, both)], [])
        rates.append(faces.rates(faces.pairs_of(source, of_source(source), kept)[0]))
    own, rival = rates
    assert own["eer"] <= rival["eer"] + 0.003  # type: ignore[operator]
    assert own["tar_at_far"]["0.001"] >= rival["tar_at_far"]["0.001"] - 0.005  # type: ignore[index]
