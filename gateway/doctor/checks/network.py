"""Clock, broker and certificate: what the box has from the world outside."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.doctor.look import Detail, Look, Outcome, fail, ok, skip, warn
from gateway.errors import LoumenError, N_

SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")
BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)  # no box of ours is older
CONNECT_WITHIN: Final = 3.0
SOON: Final = timedelta(days=30)


def clock(look: Look) -> Outcome:
    """The time can be believed."""
    now = datetime.now(UTC)
    if now < BUILT:
        return fail(
            N_("the clock says {now}"),
            N_("connect the box to a time server (timedatectl), or give it a clock chip with a battery"),
            now=now.date().isoformat(),
        )
    if look.status is not None:
        if look.status.clock.trusted:
            return ok(N_("the daemon trusts the clock: {now}"), now=look.status.clock.now or now.isoformat())
        return warn(
            N_("the daemon does not trust the clock yet: {now}"),
            N_("timedatectl status; is a time server reachable (UDP port 123)?"),
            now=look.status.clock.now or now.isoformat(),
        )
    if SYNCHRONISED.exists():
        return ok(N_("the clock is synchronised: {now}"), now=now.isoformat(timespec="seconds"))
    return warn(
        N_("nothing says that the clock is synchronised: {now}"),
        N_("timedatectl status; is a time server reachable (UDP port 123)?"),
        now=now.isoformat(timespec="seconds"),
    )


def broker(look: Look) -> Outcome:
    """A broker can be reached, and the receiver behind it answers."""
    conf = look.config
    if conf is None or conf.uplink is None:
        return skip(N_("no uplink is configured"))
    told = look.status.uplink if look.status is not None else None
    if told is not None and told.state == "connected":
        if told.backlog > 1000:
            return warn(
                N_("connected, but {count} events are not confirmed"),
                N_("does `loumen desk` run behind the broker? loumen sync status"),
                count=told.backlog,
            )
        return ok(N_("connected to {broker}"), broker=told.broker)
    for one in conf.uplink.brokers:
        try:
            with socket.create_connection((one.host, one.port), CONNECT_WITHIN):
                break
        except OSError:
            continue
    else:
        names = ", ".join(f"{one.host}:{one.port}" for one in conf.uplink.brokers)
        return fail(
            N_("no broker can be reached: {names}"),
            N_("is the network up (ping), does the firewall let the port through?"),
            names=names,
        )
    if told is not None:
        why = Detail("uplink", told.problem, told.problem_mend, told.problem_facts)
        what, mend = N_("a broker answers, but the daemon is not connected"), N_("loumen sync status")
        return Outcome("warn", what, "" if told.problem else mend, {}, (why,) if told.problem else ())
    return ok(N_("{broker} answers"), broker=f"{one.host}:{one.port}")


def certificate(look: Look) -> Outcome:
    """The box's certificate is there and valid for a while."""
    conf = look.config
    if conf is None or conf.uplink is None or not conf.uplink.tls:
        return skip(N_("no uplink with TLS is configured"))
    from gateway.identity import Box

    try:
        found = Box("", "", look.state / "identity").credentials()
    except LoumenError as error:
        return Outcome("fail", error.what, error.mend, error.facts)
    if found is None:
        return fail(N_("this box is not enrolled"), N_("loumen enrol; the desk answers with a bundle"))
    left = found.not_after - datetime.now(UTC)
    if left < timedelta(0):
        return fail(
            N_("the certificate ended on {day}; doors do not need it, the uplink does"),
            N_("loumen enrol, and loumen enrol --accept with the desk's answer"),
            day=found.not_after.date().isoformat(),
        )
    if left < SOON:
        return warn(
            N_("the certificate ends in {days} days"),
            N_("loumen enrol, and loumen enrol --accept with the desk's answer"),
            days=left.days,
        )
    return ok(N_("valid until {day}"), day=found.not_after.date().isoformat())
