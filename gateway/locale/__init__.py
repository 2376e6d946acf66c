"""Chinese and English: one gettext catalogue for everything a person reads.

Message ids are English sentences with `{named}` places, marked `N_("...")` where they arise and
translated where they are shown, in the reader's language. `speak` sets the language of this process:
the CLI calls it once at its start; the daemon speaks only ids and facts and leaves the words to its
readers. Strings inside facts that are ids themselves (a reason, a state) are translated with them; facts
that hold somebody's own names are not: a door may be called "light".
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

Language = Literal["zh", "en"]
DOMAIN: Final = "loumen"
FOLDER: Final = Path(__file__).parent
LOCALES: Final[dict[Language, str]] = {"zh": "zh_CN", "en": "en"}

OWN_NAMES: Final = frozenset(
    """box broker bus camera chip command community device door driver engine field file folder given_name
    holder host id key lane line lines meter model name names near noun option other part path person profile
    role service site unit user zone""".split()
)

_spoken: list[Language] = ["en"]


@lru_cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, str(FOLDER), [LOCALES[language]], fallback=True)


def translator(language: Language) -> Callable[[str], str]:
    """What turns an id into words of `language`; an id without a translation stays as it is."""
    catalogue = _catalogue(language)
    return lambda message: catalogue.gettext(message) if message else ""


def speak(language: Language) -> None:
    """Set the language of this process, of argparse in it and of the programs it starts."""
    _spoken[0] = language
    os.environ["LANGUAGE"] = LOCALES[language]
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)


def spoken() -> Language:
    """The language of this process."""
    return _spoken[0]


def _(message: str) -> str:
    """`message` in the language of this process."""
    return _catalogue(_spoken[0]).gettext(message) if message else ""


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
        key: translate(fact) if isinstance(fact, str) and key not in OWN_NAMES else fact for key, fact in facts.items()
    }
    try:
        return translate(message).format_map(_Facts(words))
    except (ValueError, TypeError, LookupError, AttributeError):
        return f"{translate(message)} {words}"
