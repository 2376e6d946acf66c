"""The frame of the command line: exit codes, JSON, languages, and no traceback ever."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.cli.nouns import NOUNS
from tests.cli.run_cli import ROOT, loumen
from tests.control.daemon import serving

STATUS = {
    "box": "east",
    "site": "花园小区",
    "version": "0.1.0",
    "uptime": 93784.0,
    "language": "zh",
    "doors": [{"id": "main", "name": "东门", "commanded": "locked", "sensed": "closed", "future_key": 1}],
    "clock": {"trusted": True},
    "disk": {"free_mb": 5000},
    "problems": [],
}


def test_help_lists_every_noun_and_imports_none(tmp_path: Path) -> None:
    probe = (
        "import sys; from gateway.cli.main import main; code = main(['--help']); "
        "print(sorted(name for name in sys.modules if name.startswith('gateway.cli.')), file=sys.stderr); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 0
    assert all(f"\n  {noun} " in done.stdout for noun in NOUNS)
    imported = [f"gateway.cli.{name}" for name in ("dispatch", "exits", "main", "nouns", "parser", "shell")]
    assert done.stderr.strip() == str(sorted(imported))


def test_safe_state_imports_nothing_else(tmp_path: Path) -> None:
    probe = (
        "import sys; from gateway.cli.main import main; code = main(['safe-state', '--pins', '/nonexistent']); "
        "print(sorted(n for n in sys.modules if n.startswith(('gateway', 'drivers', 'msgspec', 'argparse'))), "
        "file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert (
        done.stderr.strip().splitlines()[-1] == "['gateway', 'gateway.cli', 'gateway.cli.main', 'gateway.safe_state']"
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "a command is missing"),
        (("statsu",), "there is no command `statsu`\n  mend: did you mean `loumen status`? See `loumen --help`"),
        (("--nonsense", "status"), "there is no option --nonsense"),
        (("--config",), "--config needs a value"),
        (("door",), "`loumen door` needs a verb: list, show, open, hold, lock, release, identify, explain"),
        (("door", "opne", "x"), "wrong usage: argument VERB: invalid choice: 'opne'"),
        (("door", "open"), "wrong usage: the following arguments are required: door"),
        (("status", "more"), "wrong usage: unrecognized arguments: more"),
        (("io", "pulse", "x", "--seconds", "long"), "wrong usage: argument --seconds: invalid float value: 'long'"),
        (("--lang", "fr", "status"), "--lang must be zh or en, not fr"),
        (("config", "apply"), "name the new file, or --confirm"),
        (("doctor", "camra"), "there is no check camra"),
    ],
)
def test_wrong_usage_is_2(tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    done = loumen(*words, home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(what)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_wrong_usage_in_chinese_and_as_json(tmp_path: Path) -> None:
    done = loumen("door", "open", home=tmp_path, lang="zh_CN.UTF-8")
    assert done.returncode == 2
    assert done.stderr.startswith("用法错误：缺少以下参数：door")
    told = json.loads(loumen("door", "open", "--json", home=tmp_path).stdout)["error"]
    assert told["code"] == "usage"
    assert told["facts"]["problem"] == "the following arguments are required: door"


@pytest.mark.parametrize("position", ["before", "after", "last"])
def test_global_options_stand_anywhere(tmp_path: Path, position: str) -> None:
    options = ("--socket", str(tmp_path / "none.sock"), "--json")
    words = {
        "before": (*options, "door", "show", "main"),
        "after": ("door", *options, "show", "main"),
        "last": ("door", "show", "main", *options),
    }[position]
    done = loumen(*words, home=tmp_path)
    assert done.returncode == 3
    told = json.loads(done.stdout)["error"]
    assert (told["code"], told["where"]) == ("unreachable", str(tmp_path / "none.sock"))


@pytest.mark.parametrize(("lang", "usage"), [("zh", "用法：loumen plate add ["), ("en", "usage: loumen plate add [")])
def test_the_help_of_a_verb_names_the_whole_command(tmp_path: Path, lang: str, usage: str) -> None:
    assert loumen("plate", "add", "--help", "--lang", lang, home=tmp_path).stdout.startswith(usage)


def test_no_daemon_in_both_languages(tmp_path: Path) -> None:
    words = ("status", "--socket", str(tmp_path / "none.sock"))
    assert loumen(*words, home=tmp_path).stderr.startswith("the daemon is not reachable: the socket does not exist")
    assert loumen(*words, home=tmp_path, lang="zh_CN.UTF-8").stderr.startswith("连接不上网关程序：")
    assert loumen("--lang", "zh", *words, home=tmp_path).stderr.startswith("连接不上网关程序：")
    assert loumen("--lang=en", *words, home=tmp_path, lang="zh_CN.UTF-8").stderr.startswith("the daemon is not")


def test_chinese_where_the_locale_is_c(tmp_path: Path) -> None:
    done = loumen("--lang", "zh", "--help", home=tmp_path, lang="C")
    assert done.returncode == 0
    assert "楼门" in done.stdout


def test_status_against_a_daemon(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with serving(path, status=STATUS):
        done = loumen("status", "--socket", str(path), home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("east · 花园小区 · Loumen 0.1.0 · running for 1 d 2 h\n")
        assert "door main (东门): locked · leaf closed" in done.stdout
        assert "\x1b" not in done.stdout
        assert json.loads(loumen("status", "--json", "--socket", str(path), home=tmp_path).stdout) == STATUS
        # the site's language, where the locale says none
        assert "门关着" in loumen("status", "--socket", str(path), home=tmp_path, lang="C").stdout


def test_errors_of_the_daemon_have_their_exit_codes(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with serving(path):
        at = ("--socket", str(path))
        assert loumen("door", "open", "a", *at, home=tmp_path).returncode == 0
        assert loumen("door", "open", "gone", *at, home=tmp_path).returncode == 1
        refused = loumen("door", "open", "locked", *at, home=tmp_path)
        assert (refused.returncode, refused.stderr) == (4, "the door is locked down\n")
        assert loumen("door", "open", "down", *at, home=tmp_path).returncode == 4


def test_a_confirmation_without_a_terminal_is_refused(tmp_path: Path) -> None:
    done = loumen("io", "set", "main.light", "on", "--socket", str(tmp_path / "none"), home=tmp_path, stdin="y\n")
    assert done.returncode == 4
    assert "add --yes to confirm" in done.stderr
    done = loumen("io", "set", "main.light", "on", "--yes", "--socket", str(tmp_path / "none"), home=tmp_path)
    assert done.returncode == 3


def test_an_unexpected_error_is_one_line_and_a_file(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    broken = {**STATUS, "doors": [{"id": "main", "faults": ["x"], "people": 1}], "uptime": "soon"}
    with serving(path, status=broken):
        done = loumen("status", "--socket", str(path), home=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("the daemon's status cannot be understood: ")
    probe = (
        "import gateway.cli.run as noun, sys; from gateway.cli.main import main\n"
        "def run(arguments, shell): raise ZeroDivisionError('a bug\\nin two lines')\n"
        "noun.run = run; sys.exit(main(sys.argv[1:]))"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "LANG": "en"}
    done = subprocess.run(
        [sys.executable, "-c", probe, "run"], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    log = tmp_path / ".local/state/loumen/last-error.log"
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == ["unexpected: ZeroDivisionError: a bug", f"  where: {log}"]
    assert "Traceback" in log.read_text()
    done = subprocess.run(
        [sys.executable, "-c", probe, "run", "--debug"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert "Traceback" in done.stderr


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli.main", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert program.stdout is not None
    program.stdout.close()
    _, told = program.communicate(timeout=60)
    assert (program.returncode, told) == (0, "")


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    import signal

    path = tmp_path / "s.sock"
    with serving(path):
        program = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "io", "show", "--follow", "--json", "--socket", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert program.stdout is not None
        assert json.loads(program.stdout.readline()) == {"lines": []}
        timer = threading.Timer(30, program.kill)
        timer.start()
        program.send_signal(signal.SIGINT)
        _, told = program.communicate(timeout=60)
        timer.cancel()
    assert (program.returncode, told) == (0, "")


def test_io_is_live_on_a_terminal_and_once_in_a_pipe(tmp_path: Path) -> None:
    import os
    import pty
    import signal

    path = tmp_path / "s.sock"
    words = [sys.executable, "-m", "gateway.cli.main", "--lang", "en", "io", "--socket", str(path)]
    with serving(path):
        once = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
        assert (once.returncode, once.stdout) == (0, "no line is configured\n")
        ours, theirs = pty.openpty()
        program = subprocess.Popen(words, stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT, text=True)
        os.close(theirs)
        assert os.read(ours, 1000).startswith(b"no line is configured")
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(1.5)
        program.send_signal(signal.SIGINT)
        _, told = program.communicate(timeout=30)
        os.close(ours)
    assert (program.returncode, told) == (0, "")
