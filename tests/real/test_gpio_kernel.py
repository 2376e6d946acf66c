"""The drivers of a box on a real kernel's lines: the whole contract suite, run inside user-mode Linux."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.real.uml.guest import Guest

GUEST = Path(__file__).parent / "uml" / "guests" / "gpio_contract.py"
pytestmark = pytest.mark.real("kernel")


def contract_kept(suite: str) -> int:
    """How many tests of this suite passed in the guest; fails where one did not."""
    with Guest(GUEST, suite) as guest:
        code = guest.wait(within=110)
    said = "\n".join(guest.output)
    assert code == 0, said
    found = re.search(r"(\d+) passed", said)
    assert found, said
    return int(found[1])


def test_gpio_chardev_keeps_the_contract() -> None:
    assert contract_kept("contract_kernel.py") >= 30


@pytest.mark.skipif(importlib.util.find_spec("lgpio") is None, reason="rpi-lgpio is not installed (extra rpi-lgpio)")
def test_rpi_lgpio_keeps_the_contract() -> None:
    assert contract_kept("contract_kernel_rpi.py") >= 25
