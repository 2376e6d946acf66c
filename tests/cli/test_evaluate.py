"""What `loumen evaluate` says before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import main


@pytest.mark.parametrize(
    "words",
    [
        ["plates", "--labels", "none.csv", "--images", "none"],
        ["water", "--readings", "none.csv.gz", "--labels", "none.csv"],
        ["faces", "--folder", "none"],
    ],
)
def test_scores_that_cannot_be_written_are_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    scores = tmp_path / "nowhere" / "scores.csv"
    assert main(["evaluate", *words, "--scores", str(scores), "--lang", "en"]) == 2
    said = capsys.readouterr().err
    assert "the scores cannot be written: No such file or directory" in said
    assert str(scores) in said
