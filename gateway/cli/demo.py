"""`loumen demo`: a whole house in one terminal; ends by itself, 0 only if every step held."""

from __future__ import annotations

import argparse
import time

from gateway.cli.shell import Shell
from gateway.errors import LoumenError, N_


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = N_("Plays a day at a door with real processes: no hardware, no network beyond this machine.")
    parser.add_argument("--keep", action="store_true", help=N_("keep the folder with its logs and databases"))
    parser.add_argument("--models", default="", metavar="DIR", help=N_("a folder with models that no package carries"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.demo.house import House
    from gateway.demo.stage import Stage
    from gateway.demo.story import Story

    began = time.monotonic()
    told: list[dict[str, object]] = []
    held = True
    with Stage.raised(keep=arguments.keep) as stage:
        story = Story(House.build(stage, arguments.models))
        for what, step in story.steps():
            step_began = time.monotonic()
            try:
                saw, held = step(), True
            except (LoumenError, TimeoutError) as error:
                saw, held = str(error), False
            seconds = round(time.monotonic() - step_began, 1)
            told.append({"step": what, "held": held, "saw": saw, "seconds": seconds})
            shell.mark(f"{'✔' if held else '✖'} {shell._(what)}", "green" if held else "bold red")
            shell.say(f"    {saw}  ({seconds} s)")
            if not held:
                for name in ("box", "desk", "broker"):
                    shell.note(f"--- {name}.log\n{stage.log(name)[-2000:]}" if stage.has_log(name) else "")
                break
        if arguments.keep:
            shell.note(str(stage.folder))
    seconds = round(time.monotonic() - began, 1)
    all_held = held and len(told) == len(story.steps())
    last = N_("Every step held, in {seconds} s.") if all_held else N_("A step did not hold, after {seconds} s.")
    shell.out({"held": all_held, "seconds": seconds, "steps": told}, lambda: shell._(last, seconds=seconds))
    return shell.done(all_held)
