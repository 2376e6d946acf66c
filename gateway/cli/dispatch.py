"""From a command line to its noun's module and an exit code; nothing leaves here as a traceback.

Global options stand before or after the noun. Which module a noun needs is read from the literal
table; `loumen --help` imports none of them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from gateway import __version__, locale
from gateway.cli.exits import MEANINGS, Exit
from gateway.cli.nouns import NOUNS
from gateway.cli.parser import FLAGS, VALUES, Parser, WrongUsage
from gateway.cli.shell import Options, Shell, error_document
from gateway.errors import LoumenError, N_
from gateway.locale import _

INTERRUPTED = 130


def dispatch(argv: Sequence[str]) -> int:
    """Run one command line (without the program's name); returns the exit code."""
    given: dict[str, Any] = {}
    _speak(argv)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_utf8())
        try:
            noun, rest = _split(list(argv), given)
            code = _answer(noun, rest, given)
            sys.stdout.flush()
        except LoumenError as error:
            return _tell(error, argv)
        except BrokenPipeError:
            _drop_stdout()
            return int(Exit.DONE)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                sys.stderr.write("\n")
            return INTERRUPTED
        except SystemExit as stop:  # argparse's --help
            return stop.code if isinstance(stop.code, int) else 1
        except Exception as error:  # noqa: BLE001  (the named supervisor of the command line)
            return _unexpected(error, argv)
        return code


def _answer(noun: str, rest: list[str], given: dict[str, Any]) -> int:
    if noun == "--help":
        sys.stdout.write(overview() + "\n")
        return int(Exit.DONE)
    if noun == "--version":
        told = msgspec.json.encode({"version": __version__}).decode() if given.get("json") else f"loumen {__version__}"
        sys.stdout.write(f"{told}\n")
        return int(Exit.DONE)
    if noun not in NOUNS:
        near = get_close_matches(noun, NOUNS, n=1)
        mend = N_("did you mean `loumen {near}`? See `loumen --help`") if near else N_("see `loumen --help`")
        raise WrongUsage(N_("there is no command `{noun}`"), mend=mend, noun=noun, near="".join(near))
    module = _module(noun)
    parser = Parser(prog=f"loumen {noun}", description=NOUNS[noun].help)
    module.add(parser)
    arguments = parser.parse_args(rest, argparse.Namespace(**given))
    options = _options(vars(arguments))
    for name in Options.__dataclass_fields__:
        if not hasattr(arguments, name):
            setattr(arguments, name, getattr(options, name))
    return int(module.run(arguments, Shell(options)))


def _module(noun: str) -> Any:
    name = NOUNS[noun].module
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise WrongUsage(N_("`loumen {noun}` is not part of this installation"), noun=noun) from error


def _options(values: dict[str, Any]) -> Options:
    lang = values.get("lang") or None
    if lang not in {None, "zh", "en"}:
        raise WrongUsage(N_("--lang must be zh or en, not {given}"), given=lang)
    return Options(
        json=bool(values.get("json")),
        debug=bool(values.get("debug")),
        yes=bool(values.get("yes")),
        config=_text(values.get("config")),
        socket=_text(values.get("socket")),
        lang=lang,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _split(argv: list[str], given: dict[str, Any]) -> tuple[str, list[str]]:
    """Take the global options before the noun into `given`; returns the noun and what follows it."""
    while argv:
        word = argv.pop(0)
        option, equals, value = word.partition("=")
        if word in {"-h", "--help", "--version"}:
            given["json"] = given.get("json", False) or "--json" in argv
            return "--help" if word != "--version" else word, []
        if word in FLAGS:
            given[FLAGS[word][0]] = True
        elif option in VALUES:
            if not equals and not argv:
                raise WrongUsage(N_("{option} needs a value"), mend=N_("see `loumen --help`"), option=option)
            given[VALUES[option][0]] = value if equals else argv.pop(0)
        elif word.startswith("-"):
            raise WrongUsage(N_("there is no option {option}"), mend=N_("see `loumen --help`"), option=word)
        else:
            return word, argv
    raise WrongUsage(N_("a command is missing"), mend=N_("see `loumen --help`"))


def overview() -> str:
    """`loumen --help`: every noun with one line, without importing any."""
    width = max(map(len, NOUNS))
    lines = [_(N_("usage: loumen [options] COMMAND [VERB] ...")), "", _(N_("Loumen, the gateway at the door.")), ""]
    lines += [f"  {noun:<{width}}  {_(entry.help)}" for noun, entry in NOUNS.items()]
    lines += ["", _(N_("options, before or after the command:"))]
    lines += [f"  {option:<{width}}  {_(text)}" for option, (_name, text) in FLAGS.items()]
    lines += [f"  {option:<{width}}  {_(text)}" for option, (_name, _meta, text) in VALUES.items()]
    lines += ["", _(N_("exit codes:"))]
    lines += [f"  {code.value}  {_(meaning)}" for code, meaning in MEANINGS.items()]
    return "\n".join(lines)


def _speak(argv: Sequence[str]) -> None:
    """The language is needed before the rest is understood, so that wrong usage is told in it.

    --lang, else the locale; where that says nothing, as on a bare box, the language of the site.
    """
    language = _given(argv, "--lang") or locale.of_environment(os.environ)
    if language is None:
        from gateway.config.places import config_path, places

        language = places(config_path(_given(argv, "--config") or "")).language or "en"
    locale.speak("zh" if language == "zh" else "en")
    locale.live_in(lambda: _site_zone(argv))


def _site_zone(argv: Sequence[str]) -> tzinfo | None:
    """Where the box is, as its file says, so that a technician reads the clock on the wall."""
    from zoneinfo import ZoneInfo

    from gateway.config.places import config_path, places

    try:
        return ZoneInfo(places(config_path(_given(argv, "--config") or "")).timezone)
    except (OSError, ValueError, KeyError):  # none said, or none that this machine knows
        return None


def _given(argv: Sequence[str], option: str) -> str | None:
    """The value of a global option, wherever it stands."""
    found = None
    for at, word in enumerate(argv):
        if word.startswith(f"{option}="):
            found = word.partition("=")[2]
        elif word == option and at + 1 < len(argv):
            found = argv[at + 1]
    return found


@contextlib.contextmanager
def _utf8() -> Iterator[None]:
    """Chinese on a terminal whose locale is C must not end in an encoding error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    yield


def _tell(error: LoumenError, argv: Sequence[str]) -> int:
    if "--debug" in argv:
        traceback.print_exception(error)
    return Shell(Options(json="--json" in argv)).error(error)


def _unexpected(error: Exception, argv: Sequence[str]) -> int:
    if "--debug" in argv:
        traceback.print_exception(error)
        return int(Exit.NO)
    told = LoumenError(
        N_("unexpected: {kind}: {problem}"),
        where=_keep(error),
        mend=N_("run it again with --debug, or send us that file"),
        kind=type(error).__name__,
        problem=str(error).splitlines()[0][:200] if str(error) else "",
    )
    if "--json" in argv:
        sys.stdout.write(msgspec.json.encode({"error": error_document(told)}, enc_hook=str).decode() + "\n")
    else:
        sys.stderr.write(Shell(Options()).words(told) + "\n")
    return int(Exit.NO)


def _keep(error: Exception) -> str:
    """Write the traceback to a file of this user; returns its path, or nothing where that fails."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()) / "loumen"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "last-error.log"
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except (OSError, RuntimeError):
        return ""
    return str(log)


def _drop_stdout() -> None:
    """The reader of our pipe has gone: what is still buffered goes nowhere, without a complaint at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
