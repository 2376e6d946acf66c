"""Both languages, whole and fresh: every text that a person reads is translated, its places intact."""

from __future__ import annotations

import gettext
import re
import string
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway import locale

update = pytest.importorskip("gateway.locale.update", reason="Babel is not installed")

MEND = "run: python -m gateway.locale.update --missing, translate, then --merge"


def test_every_text_is_translated_and_keeps_its_places() -> None:
    problems = list(update.wrong(update.collect(), update.read("zh")))
    assert problems == [], MEND


def test_the_catalogues_are_fresh() -> None:
    ids = update.collect()
    for language in ("zh", "en"):
        path = update.po_path(language)
        with path.with_suffix(".mo").open("rb") as file:
            compiled = gettext.GNUTranslations(file)
        for known, words in update.read(language).items():
            one, told = (known, words) if isinstance(known, str) else (known[0], words[0])
            assert known in ids or language == "zh"
            if isinstance(known, str):
                assert compiled.gettext(one) == told
            else:
                assert compiled.ngettext(known[0], known[1], 1) == told
    assert set(update.read("en")) == ids


def test_chinese_speaks_chinese() -> None:
    """Translations that are not Chinese at all are commands and addresses, and these alone."""
    plain = {
        words
        for words in update.read("zh").values()
        if isinstance(words, str) and not re.search(r"[\u4e00-\u9fff]", words)
    }
    assert all(re.match(r"(loumen|chmod|chgrp|systemctl|journalctl|TLS|\{)", words) for words in plain), plain


def test_chinese_punctuation_stands_beside_chinese() -> None:
    wrong = [
        words
        for words in update.read("zh").values()
        if isinstance(words, str) and re.search(r"[\u4e00-\u9fff][,;:?!](?![a-z0-9/{=])", words)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, None),
        ({"LC_ALL": "POSIX", "LANG": "zh_CN"}, None),
        ({}, None),
    ],
)
def test_the_locale_s_language(environment: dict[str, str], language: str | None) -> None:
    assert locale.of_environment(environment) == language


def test_facts_that_are_ids_are_translated_and_names_are_not() -> None:
    chinese = locale.translator("zh")
    told = locale.tell("{given} is not {expected}", {"given": "a list", "expected": "a table"}, chinese)
    assert told == "列表 不是 表"
    told = locale.tell("there is no door {door}", {"door": "light"}, chinese)
    assert told == "没有门 light"


@pytest.mark.parametrize("size", [0, 3, 20, 5000])
def test_a_torn_catalogue_costs_the_language_and_no_command(tmp_path: Path, size: int) -> None:
    """A power cut in an update, a worn card: argparse reads the file, too."""
    here = Path(locale.__file__).parent
    torn = tmp_path / "zh_CN" / "LC_MESSAGES" / "loumen.mo"
    torn.parent.mkdir(parents=True)
    torn.write_bytes((here / "zh_CN" / "LC_MESSAGES" / "loumen.mo").read_bytes()[:size])
    program = (
        "import sys; from pathlib import Path; from gateway import locale; locale.FOLDER = Path(sys.argv.pop(1));"
        "from gateway.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    for words, code in ((["--help"], 0), (["door", "--help"], 0), (["door", "nonsense"], 2)):
        command = [sys.executable, "-c", program, str(tmp_path), "--lang", "zh", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_wrong_place_stays_visible() -> None:
    def same(message: str) -> str:
        return message

    assert locale.tell("{a} {b}", {"a": 1}, same) == "1 {b}"
    assert locale.tell("{a:.1f}", {"a": "x"}, same) == "{a:.1f} {'a': 'x'}"
    assert locale.tell("{", {}, same).startswith("{")
    assert locale.tell("", {}, chinese := locale.translator("zh")) == ""
    assert chinese("no such id") == "no such id"


def test_every_id_is_a_format() -> None:
    for known in update.collect():
        if isinstance(known, str) and "%(" not in known:
            list(string.Formatter().parse(known))


def test_the_folder_ships_both() -> None:
    for language in ("zh_CN", "en"):
        folder = Path(locale.FOLDER) / language / "LC_MESSAGES"
        assert (folder / "loumen.mo").stat().st_size > 10_000


def test_a_moment_is_shown_by_the_sites_clock() -> None:
    locale.live_in(lambda: ZoneInfo("Asia/Shanghai"))
    try:
        assert locale.moment("2026-11-28T17:34:05+00:00") == "2026-11-29 01:34:05"
        assert locale.moment("2026-11-28T17:34:05.250Z", "%H:%M") == "01:34"
        assert locale.moment("unit 2026") == "unit 2026"
        assert locale.moment("2026-99-28T17:34:05+00:00") == "2026-99-28T17:34:05+00:00"
        assert locale.tell("until {until}", {"until": "2026-11-28T17:34:05+00:00"}) == "until 2026-11-29 01:34:05"
    finally:
        locale.live_in(lambda: None)


def test_what_the_system_says_is_translated_without_its_number_and_path() -> None:
    locale.speak("zh")
    try:
        told = locale.tell("{problem}", {"problem": "[Errno 2] No such file or directory: '/nix/x'"})
        assert told == locale.tell("{problem}", {"problem": "No such file or directory"}) == "没有这个文件或文件夹"
        assert locale.labelled("门", "已锁") == "门：已锁"
    finally:
        locale.speak("en")


#: What a technician calls a thing, and the words that were used beside it once.
ONE_WORD = {
    "网关程序": ("守护进程", "后台程序"),
    "摄像头": ("摄像机",),
    "小区": ("社区",),
    "管理台": ("管理端", "服务台"),
    "消息服务器": ("消息代理", "代理服务器"),
    "识别程序": ("视觉进程",),
    "控制接口": ("套接字",),
    "登记包、人员包": ("数据包",),
    "门未关超时": ("常开超时",),
    "常闭": ("封锁",),
}


def test_one_word_for_a_thing() -> None:
    told = [words for words in update.read("zh").values() if isinstance(words, str)]
    for word, others in ONE_WORD.items():
        assert [text for text in told for other in others if other in text] == [], f"say {word}"
