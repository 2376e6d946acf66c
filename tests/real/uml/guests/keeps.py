"""Counts on the data disk, each number synced before it is told; says what it found there at its start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FILE = Path("/run/data/count")

print("found", FILE.read_text() if FILE.exists() else "nothing")
for number in range(int(sys.argv[1])):
    with FILE.with_name("next").open("w") as file:
        file.write(str(number))
        file.flush()
        os.fsync(file.fileno())
    FILE.with_name("next").rename(FILE)
    folder = os.open(FILE.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    print("kept", number)
