"""What a person should know of the faces at a door."""

from __future__ import annotations

from gateway.report import NO_FACES, _vision_problems
from gateway.vision.status import FACE_ALONE, VisionStatus


def test_more_people_than_a_face_alone_is_good_for_are_told_with_a_mend() -> None:
    few = VisionStatus(run="child", state="up", people={"main": FACE_ALONE})
    assert list(_vision_problems(few, *NO_FACES)) == []
    many = VisionStatus(run="child", state="up", people={"main": FACE_ALONE + 1, "side": 3})
    (problem,) = _vision_problems(many, *NO_FACES)
    assert (problem.part, problem.severity) == ("door.main", "warning")
    assert problem.facts["people"] == FACE_ALONE + 1
    assert "person change" in problem.mend
