"""`loumen safe-state`: bring every output to rest, without the daemon, its configuration or its code.

It imports the standard library's json, os and sys, and gpiod; it reads one file of pins that the daemon
wrote after its claims. systemd runs it when the daemon has ended, however it ended; a technician may run it
at any time. Each free line is claimed at its resting level in one request and released: a line that rests
already shows no edge, a line that was left driven in the middle of a pulse falls. Twice is harmless.

    exit 0   every listed output rests
    exit 1   some could not be brought to rest (said which, and why: the daemon still owns a line, ...)
    exit 2   wrong usage
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

PINS = "/run/loumen/pins.json"
USAGE = "usage: loumen safe-state [--pins FILE] [--json]"
CONSUMER = "loumen:safe-state"

Pin = Any  # an entry of the file, not yet believed


class NotResting(Exception):  # noqa: N818  (named for what it says)
    """One output could not be brought to rest; the text says why."""


def main(arguments: list[str]) -> int:
    """The command line; see the top of this file."""
    path, as_json, rest = PINS, False, list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--json":
            as_json = True
        elif word == "--pins" and rest:
            path = rest.pop(0)
        elif word.startswith("--pins="):
            path = word.removeprefix("--pins=")
        elif word in {"-h", "--help"}:
            sys.stdout.write(f"{USAGE}\n{__doc__}")
            return 0
        else:
            sys.stderr.write(f"{USAGE}\n")
            return 2
    try:
        pins = read_pins(path)
    except NotResting as problem:
        report({"resting": [], "problems": [{"name": path, "why": str(problem)}]}, as_json=as_json)
        return 1
    outcome = rest_all(pins)
    report(outcome, as_json=as_json)
    return 1 if outcome["problems"] else 0


def read_pins(path: str) -> list[Pin]:
    """The listed outputs. Raises NotResting where the file is absent or no list of pins."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  (pathlib costs 20 ms on a Pi)
            outputs = json.load(file)["outputs"]
    except OSError as error:
        raise NotResting(
            f"no file of pins ({error.strerror}): has the daemon claimed its outputs on this boot?"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise NotResting(f"not a file of pins ({error})") from error
    if not isinstance(outputs, list):
        raise NotResting("not a file of pins (outputs is no list)")
    return outputs


def rest_all(pins: list[Pin]) -> dict[str, Any]:
    """Bring each output to rest; one that fails does not keep the others from it."""
    resting: list[str] = []
    problems: list[dict[str, str]] = []
    for pin in pins:
        name = str(pin.get("name", "?")) if isinstance(pin, dict) else "?"
        try:
            (rest_simulated if pin["driver"] == "simulated" else rest_kernel)(pin)
        except NotResting as problem:
            problems.append({"name": name, "why": str(problem)})
        except (KeyError, TypeError, ValueError) as error:
            problems.append({"name": name, "why": f"its entry in the file cannot be read ({error!r})"})
        else:
            resting.append(name)
    return {"resting": resting, "problems": problems}


def rest_kernel(pin: Pin) -> None:
    """Claim the line at its resting level and release it. Raises NotResting."""
    import gpiod
    from gpiod.line import Bias, Direction, Value

    bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.DISABLED, "as-is": Bias.AS_IS}[pin["bias"]]
    level = Value.ACTIVE if pin["resting"] == "high" else Value.INACTIVE
    settings = gpiod.LineSettings(direction=Direction.OUTPUT, bias=bias, output_value=level)  # electrical: not inverted
    line = int(pin["line"])
    with find_chip(pin["chips"]) as chip:
        try:
            chip.request_lines({line: settings}, consumer=CONSUMER).release()
        except OSError as error:
            holder = chip.get_line_info(line).consumer or "?"
            why = f"held by '{holder}'" if error.errno == 16 else str(error.strerror)
            raise NotResting(f"line {line} of {pin['chips'][0]}: {why}") from error


def find_chip(names: list[str]) -> Any:
    """The first of these chips that exists, by label or path. Raises NotResting."""
    import gpiod

    devices = [f"/dev/{name}" for name in sorted(os.listdir("/dev")) if name.startswith("gpiochip")]  # noqa: PTH208
    for wanted in names:
        for path in [wanted] if wanted.startswith("/") else devices:
            try:
                chip = gpiod.Chip(path)
            except OSError:
                continue
            if wanted.startswith("/") or chip.get_info().label == wanted:
                return chip
            chip.close()
    raise NotResting(f"no GPIO chip {' or '.join(names)} can be opened here")


def rest_simulated(pin: Pin) -> None:
    """The same for a simulated building that is a process of its own. Raises NotResting."""
    if not pin["socket"]:
        return  # the building was inside the daemon, and ended with it
    from drivers.errors import DriverError
    from drivers.interfaces import Bias
    from drivers.simulated.connection import Connection
    from drivers.simulated.wire import Claim

    claim = Claim(CONSUMER, active_low=False, output=True, changed=lambda _at, _level: None, gone=lambda: None)
    try:
        connection = Connection(pin["socket"])
        try:
            connection.claim(int(pin["line"]), claim, Bias(pin["bias"]), pin["resting"] == "high")
            connection.release(int(pin["line"]))
        finally:
            connection.close()
    except DriverError as error:
        raise NotResting(str(error).splitlines()[0]) from error


def report(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Say what rests and what does not."""
    if as_json:
        sys.stdout.write(json.dumps(outcome) + "\n")
        return
    if outcome["resting"]:
        sys.stdout.write(f"resting: {', '.join(outcome['resting'])}\n")
    for problem in outcome["problems"]:
        sys.stderr.write(f"NOT resting: {problem['name']}: {problem['why']}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
