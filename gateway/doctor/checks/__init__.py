"""The literal table of checks, in the order in which a technician wants to know."""

from __future__ import annotations

from collections.abc import Callable

from gateway.doctor.checks.devices import camera, lines
from gateway.doctor.checks.files import config, database, disk, models, permissions
from gateway.doctor.checks.network import broker, certificate, clock
from gateway.doctor.look import Look, Outcome

CHECKS: dict[str, Callable[[Look], Outcome]] = {
    "config": config,
    "permissions": permissions,
    "lines": lines,
    "camera": camera,
    "models": models,
    "clock": clock,
    "disk": disk,
    "database": database,
    "broker": broker,
    "certificate": certificate,
}
