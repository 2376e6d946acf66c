"""Says back what it is told; its exit code is told as well."""

from __future__ import annotations

import os
import sys

print("ready", os.getpid(), *sys.argv[1:], os.environ["COLOUR"])
print("said", sys.stdin.readline().strip())
sys.exit(3)
