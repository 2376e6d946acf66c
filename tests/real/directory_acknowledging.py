"""A program that changes a directory for ever and prints each change once it is acknowledged; somebody kills it.

    python tests/real/directory_acknowledging.py STATE [SEED]

Lines: `added ID`, `suspended ID`, `resumed ID`, `enrolled ID FACE`, `forgotten ID`, `copied`. What was asked
for is printed before as `ask ...`: a kill may come between the two.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.directory.people import Changes
from tests.directory.house import CLERK, NAMES, opened


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def main(folder: Path, seed: int) -> None:
    choose = random.Random(seed)
    async with opened(folder) as house:
        say(
            "started",
            house.directory.health().state,
            *(problem.render() for problem in house.directory.health().problems),
        )
        while True:
            people = list(house.directory.snapshot.people)
            person = choose.choice(people) if people else ""
            order = choose.choice(["add", "add", "suspend", "resume", "enrol", "forget", "copy"])
            if order == "add" or not person:
                say("added", await house.add(choose.choice(NAMES)))
            elif order == "suspend":
                say("ask", "suspended", person)
                await house.people.change(person, Changes(active=False), CLERK)
                say("suspended", person)
            elif order == "resume":
                say("ask", "resumed", person)
                await house.people.change(person, Changes(active=True), CLERK)
                say("resumed", person)
            elif order == "enrol":
                if len(await house.faces.lines(person)) < 5:
                    for face in await house.enrol(person, choose.randrange(100)):
                        say("enrolled", person, face)
            elif order == "forget":
                say("ask", "forgotten", person)
                await house.people.forget([person], CLERK)
                say("forgotten", person)
            else:
                house.clock.later(hours=1)
                await house.directory.copy()
                say("copied")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
