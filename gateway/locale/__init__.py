"""Chinese and English: one gettext catalogue for everything a person reads.

Message ids are English sentences with `{named}` places, marked `N_("...")` where they arise and
translated where they are shown, in the reader's language. `speak` sets the language of this process:
the CLI calls it once at its start; the daemon speaks only ids and facts and leaves the words to its
readers. Strings inside facts that are ids themselves (a reason, a state) are translated with them; facts
that hold somebody's own names are not: a door may be called "light". Moments are stored and sent in UTC and
shown as the site's clock says (`live_in`).
"""

from __future__ import annotations

import gettext
import os
import re
import struct
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

Language = Literal["zh", "en"]
DOMAIN: Final = "loumen"
FOLDER: Final = Path(__file__).parent
LOCALES: Final[dict[Language, str]] = {"zh": "zh_CN", "en": "en"}

OWN_NAMES: Final = frozenset(
    """bias board box broker bus camera chip command community device door driver engine field file folder given_name
    holder host id key lane line lines meter model name names near noun option other part path person profile
    right role service site unit user zone""".split()
)

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_SYSTEM_ERROR: Final = re.compile(r"\[Errno -?\d+\] ([^:]+)(: '.*')?")

_DAMAGED: Final = (OSError, ValueError, LookupError, struct.error)  # what gettext makes of a torn .mo file

_spoken: list[Language] = ["en"]
_zone: list[Callable[[], tzinfo | None]] = [lambda: None]


@lru_cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    try:
        return gettext.translation(DOMAIN, str(FOLDER), [LOCALES[language]], fallback=True)
    except _DAMAGED:
        return gettext.NullTranslations()  # ids are English sentences: a torn file costs the language, no command


def translator(language: Language) -> Callable[[str], str]:
    """What turns an id into words of `language`; an id without a translation stays as it is."""
    catalogue = _catalogue(language)
    return lambda message: catalogue.gettext(message) if message else ""


def speak(language: Language) -> None:
    """Set the language of this process, of argparse in it and of the programs it starts."""
    _spoken[0] = language
    os.environ["LANGUAGE"] = LOCALES[language]
    if isinstance(_catalogue(language), gettext.GNUTranslations):
        gettext.bindtextdomain(DOMAIN, str(FOLDER))
        gettext.textdomain(DOMAIN)


def spoken() -> Language:
    """The language of this process."""
    return _spoken[0]


def _(message: str) -> str:
    """`message` in the language of this process."""
    return _catalogue(_spoken[0]).gettext(message) if message else ""


def live_in(zone: Callable[[], tzinfo | None]) -> None:
    """Set the time zone of this process's readers, asked when the first moment is shown; None: the machine's."""
    _zone[0] = lru_cache(zone)


def moment(text: str, shape: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A stored moment as the site's clock says it; what is no moment stays as it is."""
    if not _MOMENT.fullmatch(text):
        return text
    try:
        return datetime.fromisoformat(text).astimezone(_zone[0]()).strftime(shape)
    except (ValueError, OverflowError):
        return text


def labelled(label: str, text: str) -> str:
    """A label and its text, with the colon of the reader's language."""
    return f"{label}：{text}" if _spoken[0] == "zh" else f"{label}: {text}"


def _plain(fact: str) -> str:
    """A fact as a reader wants it: a moment by the site's clock, a system's error without number and path."""
    found = _SYSTEM_ERROR.fullmatch(fact)
    return found[1] if found else moment(" ".join(fact.split()) if "\n" in fact else fact)


def of_environment(environment: Mapping[str, str]) -> Language | None:
    """The language that the locale asks for; None where it says nothing (unset, C, POSIX)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name, ""):
            plain = value.split(".")[0].lower()
            if plain in {"c", "posix"}:
                return None
            return "zh" if plain.startswith("zh") else "en"
    return None


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def tell(message: str, facts: Mapping[str, object], translate: Callable[[str], str] = _) -> str:
    """`message` in words, with its facts in their places. Never raises: a wrong place stays visible."""
    words = {
        key: translate(_plain(fact)) if isinstance(fact, str) and key not in OWN_NAMES else fact
        for key, fact in facts.items()
    }
    try:
        return translate(message).format_map(_Facts(words))
    except (ValueError, TypeError, LookupError, AttributeError):
        return f"{translate(message)} {words}"
