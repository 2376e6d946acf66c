"""What a person agrees to, word by word. A version is never changed: a new wording is a new version."""

from __future__ import annotations

import hashlib

from gateway.errors import BadRequest, N_

CURRENT = "face-1"
WORDINGS = {
    CURRENT: (
        "我同意本小区在我选定的门口用人脸识别为我开门。我的人脸特征仅加密保存在门口设备中，不上传，"
        "仅用于开门；不同意也可以用其他方式进门。我可以随时撤回同意，撤回后人脸特征立即删除。"
        "未满十四周岁的，由监护人同意。\n"
        "I agree that this community recognises my face at the doors chosen by me, to open them. My face template is "
        "kept encrypted in the device at the door, is not sent up, and serves no other purpose; without my consent I "
        "enter by other means. I may take this back at any time; the template is then deleted at once. For a child "
        "under fourteen a guardian consents."
    ),
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(version: str, given: str, stored: str | None) -> str:
    """The text behind a version: shipped, stored before, or given now. Raises BadRequest for a contradiction."""
    known = stored or WORDINGS.get(version)
    if known is None and not given.strip():
        raise BadRequest(
            N_("no wording of consent is known as {version}"),
            mend=N_("give its text along with it the first time, or use {shipped}"),
            version=version[:64],
            shipped=CURRENT,
        )
    if known is not None and given and given != known:
        raise BadRequest(
            N_("the wording {version} has another text already; a changed wording needs a new version"),
            version=version[:64],
        )
    return known or given
