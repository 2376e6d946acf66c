"""The drivers' contract suite, run by pytest inside the guest: a module of tests/drivers, then options of pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tests.drivers.contract_kernel

SUITE = Path(tests.drivers.contract_kernel.__file__).with_name(sys.argv[1])
OPTIONS = [
    "-p",
    "no:cacheprovider",
    "--tb=short",
    "--timeout=60",
    "-q",
    "--color=no",
    "-o",
    f"testpaths={SUITE.parent}",
]

sys.exit(int(pytest.main([str(SUITE), *OPTIONS, *sys.argv[2:]])))
