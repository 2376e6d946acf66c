"""Loumen: the gateway at the building's door."""

__version__ = "0.1.0"
