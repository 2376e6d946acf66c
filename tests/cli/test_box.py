"""A technician before a real daemon of a simulated building, in her own language."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.dispatch import dispatch
from gateway.demo.stage import Answer, Stage
from gateway.state_lock import StateLock

CONFIG = """
[site]
name = "花园小区"
community = "garden"
[box]
name = "unit-1"
board = "simulated"
state = "{folder}/state"
run = "{folder}/run"
[door.main]
name = "1单元门"
face = "off"
contact = {{ driver = "simulated", line = 17, active_low = true, bias = "up" }}
lock = {{ kind = "fail-safe", output = {{ driver = "simulated", line = 5 }} }}
indicators = {{ denied = {{ driver = "simulated", line = 7 }} }}
[vision]
run = "off"
[uplink]
[[uplink.brokers]]
host = "127.0.0.1"
port = 1
[control]
administrators = ["{user}"]
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    import getpass

    with Stage.raised() as stage:
        config = stage.folder / "gateway.toml"
        config.write_text(CONFIG.format(folder=stage.folder, user=getpass.getuser()))
        stage.env["LOUMEN_CONFIG"] = str(config)
        stage.start_daemon("box", config)
        yield stage


def zh(stage: Stage, *words: str) -> Answer:
    return stage.loumen("--lang", "zh", *words, ok=False)


def test_why_somebody_may_not_pass_is_asked_by_name_and_has_its_mend(stage: Stage) -> None:
    person = stage.ask("person", "add", "张三")["person"]["id"]
    told = zh(stage, "door", "explain", "main", "张三")
    assert told.code == 1
    assert told.out == (
        f"张三 现在不能通行 main：此人不能通行这扇门\n  处理： loumen person change {person[:8]} --door main\n"
    )
    assert zh(stage, *told.out.split("loumen ")[1].split()).code == 0
    assert zh(stage, "door", "explain", "main", person[:6]).code == 0
    assert zh(stage, "door", "explain", "main", "李四").code == 1


def test_a_second_daemon_is_refused_in_the_readers_language(stage: Stage) -> None:
    told = zh(stage, "run")
    assert told.code == 1
    assert re.match(r"另一个 Loumen 进程（pid \d+）正在使用", told.err)
    assert "Traceback" not in told.err
    document = json.loads(stage.loumen("run", "--json", ok=False).out)
    assert document["error"]["code"] == "state.busy"


def test_what_cannot_be_written_is_wrong_use_and_no_traceback(stage: Stage) -> None:
    told = zh(stage, "event", "export", "--output", "/nowhere/at/all")
    assert (told.code, told.err.splitlines()[0]) == (2, "/nowhere/at/all 无法写入：没有这个文件或文件夹")


def test_no_table_is_empty_without_a_word(stage: Stage) -> None:
    assert zh(stage, "face", "list").out.strip() == "没有内容"
    assert "登记之前" in zh(stage, "sync", "keys").out
    assert "还没有发送过" in zh(stage, "sync", "status").out


def test_a_missing_verb_is_answered_with_the_verbs(stage: Stage) -> None:
    told = zh(stage, "door")
    assert told.code == 2
    assert told.err.startswith("`loumen door` 后面要写动作：list, show, open, hold")
    assert zh(stage, "safe-state", "--help").out.count("让所有输出断电") == 1


def test_curl_asks_the_same_socket(stage: Stage) -> None:
    curl = next((path for path in ("/usr/bin/curl", "/bin/curl") if Path(path).exists()), None)
    if curl is None:
        pytest.skip("curl is not installed")
    socket = f"{stage.folder}/run/loumen.sock"
    asked = [curl, "-s", "--unix-socket", socket]
    status = json.loads(subprocess.run([*asked, "http://box/v1/status"], capture_output=True, check=True).stdout)
    assert status["doors"][0]["id"] == "main"
    order = [*asked, "-d", '{"door": "main"}', "http://box/v1/command/door.open"]
    assert json.loads(subprocess.run(order, capture_output=True, check=True).stdout)["door"] == "main"
    actor = [row["event"] for row in stage.ask("event", "list")["events"] if row["type"] == "door.opened.v1"]
    assert actor[-1]["actor"] == f"uid:{os.getuid()}"


def test_a_box_whose_disk_is_gone_serves_its_doors_and_says_so() -> None:
    import getpass

    with Stage.raised() as stage:
        (stage.folder / "disk").write_text("no folder can be made in a file")
        config = stage.folder / "gateway.toml"
        text = CONFIG.format(folder=stage.folder, user=getpass.getuser())
        config.write_text(text.replace(f"{stage.folder}/state", f"{stage.folder}/disk/state"))
        stage.env["LOUMEN_CONFIG"] = str(config)
        stage.start_daemon("box", config)
        status = stage.ask("status", ok=False)
        assert [(door["id"], door["commanded"]) for door in status["doors"]] == [("main", "locked")]
        assert {"journal", "directory"} <= {problem["part"] for problem in status["problems"]}
        assert zh(stage, "door", "identify", "main", "--yes").code in {0, 4}
        assert stage.kill("box", signal.SIGTERM) == 0
        assert "Traceback" not in stage.log("box")


def test_who_may_not_use_the_state_folder_is_told_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_lock: StateLock) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/loumen/lock")

    monkeypatch.setattr(StateLock, "acquire", refused)
    assert dispatch(["run", "--config", stage.env["LOUMEN_CONFIG"], "--lang", "en"]) == 1
    assert capsys.readouterr().err.startswith("/var/lib/loumen/lock may not be used by this user\n  mend: start it")
