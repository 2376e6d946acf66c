"""Which of the kernel's chips carries a Raspberry Pi's 40-pin header, by label: the number moves, this does not."""

from __future__ import annotations

HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")  # Pi 5; Pi 4; Pi Zero to 3
