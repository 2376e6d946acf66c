"""A day passes while virtual time flies."""

from __future__ import annotations

import time

before = time.monotonic(), time.time()
time.sleep(86_400)  # virtual time: this is what is tested
print("elapsed", round(time.monotonic() - before[0]), round(time.time() - before[1]))
