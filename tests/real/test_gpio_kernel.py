"""The driver of a box on a real kernel's lines: the whole contract suite, run inside user-mode Linux."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.real.uml.guest import Guest

GUESTS = Path(__file__).parent / "uml" / "guests"


@pytest.mark.real("kernel")
def test_gpio_chardev_keeps_the_contract_on_a_kernels_lines() -> None:
    with Guest(GUESTS / "gpio_contract.py") as guest:
        code = guest.wait(within=110)
    print("\n".join(guest.output))  # noqa: T201  (what pytest in the guest said)
    assert code == 0
    found = re.search(r"(\d+) passed", guest.output[-1])
    assert found
    assert int(found[1]) >= 30
