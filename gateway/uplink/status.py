"""What an uplink says of itself, in numbers and in words."""

from __future__ import annotations

import msgspec

from gateway.errors import N_


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """A message id of the catalogue with its facts; `bad` where a person should act."""

    text: str
    facts: dict[str, object] = {}
    bad: bool = False
    mend: str = ""


class UplinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Keys are stable and documented: `sync status --json`, `status --json` under `uplink`."""

    state: str  # "connected", "connecting", "resting", "paused"
    enrolled: bool
    receiver: bool
    broker: str = ""
    protocol: str = ""
    session: int = 0
    connected_since: str = ""
    retry_in: float | None = None
    failures: int = 0
    problem: str = ""  # message id
    problem_mend: str = ""
    problem_facts: dict[str, str] = {}
    sent: str = ""  # "<epoch>/<seq>"
    received: str = ""
    head: str = ""
    backlog: int = 0  # events that the receiver has not confirmed (without receiver: the broker)
    sent_again: int = 0
    receiver_short: bool = False
    last_puback_age: float | None = None
    last_receipt_age: float | None = None
    refused_commands: int = 0
    refused_receipts: int = 0
    certificate_until: str = ""
    certificate_renew: bool = False
    certificate_expired: bool = False
    keys_version: int = 0


def sentences(status: UplinkStatus) -> list[Sentence]:
    """The status as a technician reads it aloud."""
    said = [_connection(status), *_problem(status), *_delivery(status), *_certificate(status)]
    if status.refused_commands:
        said.append(
            Sentence(text=N_("Commands refused since the start: {count}"), facts={"count": status.refused_commands})
        )
    if status.refused_receipts:
        said.append(
            Sentence(
                text=N_("Receipts refused since the start: {count}; they claimed what was never sent"),
                facts={"count": status.refused_receipts},
                mend=N_("check that no other box uses this box's identity, and the receiver's store"),
                bad=True,
            )
        )
    return said


def _connection(status: UplinkStatus) -> Sentence:
    facts: dict[str, object] = {"broker": status.broker, "protocol": status.protocol, "since": status.connected_since}
    match status.state:
        case "connected":
            return Sentence(text=N_("Connected to {broker} (MQTT {protocol}) since {since}"), facts=facts)
        case "paused":
            mend = N_("loumen sync resume")
            return Sentence(text=N_("Paused by a person; events are kept"), mend=mend, bad=True)
        case "resting" if status.retry_in is not None:
            facts["seconds"] = round(status.retry_in)
            return Sentence(text=N_("Not connected; next attempt in {seconds} s"), facts=facts, bad=True)
        case _:
            return Sentence(text=N_("Connecting to {broker}"), facts=facts, bad=status.failures > 0)


def _problem(status: UplinkStatus) -> list[Sentence]:
    said: list[Sentence] = []
    if not status.enrolled:
        said.append(
            Sentence(text=N_("This box is not enrolled with a desk"), mend=N_("enrol it: loumen enrol"), bad=True)
        )
    if status.problem and status.state != "connected" and status.problem not in {told.text for told in said}:
        facts: dict[str, object] = dict(status.problem_facts)
        said.append(Sentence(text=status.problem, facts=facts, mend=status.problem_mend, bad=True))
    return said


def _delivery(status: UplinkStatus) -> list[Sentence]:
    said: list[Sentence] = []
    count: dict[str, object] = {"count": status.backlog, "sent": status.sent or "-", "received": status.received or "-"}
    if not status.receiver:
        said.append(
            Sentence(text=N_("No receiver is configured: events are acknowledged by the broker only"), bad=True)
        )
        said.append(Sentence(text=N_("Sent up to {sent}; {count} events wait"), facts=count))
    else:
        if status.received or status.sent:
            text = N_("Received up to {received}, sent up to {sent}; {count} events not yet confirmed")
        else:
            text = N_("Nothing was sent yet; {count} events wait")
        said.append(Sentence(text=text, facts=count))
        if status.last_receipt_age is not None:
            said.append(
                Sentence(text=N_("Last receipt {seconds} s ago"), facts={"seconds": round(status.last_receipt_age)})
            )
        elif status.state == "connected":
            said.append(
                Sentence(
                    text=N_("The receiver has given no receipt since the start"),
                    mend=N_("check that the desk runs: loumen desk status"),
                    bad=status.backlog > 0,
                )
            )
    if status.receiver_short:
        said.append(Sentence(text=N_("The receiver holds less than it once confirmed; it is sent again"), bad=True))
    if status.last_puback_age is not None:
        said.append(
            Sentence(
                text=N_("Last acknowledgement by the broker {seconds} s ago"),
                facts={"seconds": round(status.last_puback_age)},
            )
        )
    return said


def _certificate(status: UplinkStatus) -> list[Sentence]:
    facts: dict[str, object] = {"until": status.certificate_until}
    mend = N_("renew it: loumen enrol, then loumen desk admit, then loumen enrol --accept")
    if status.certificate_expired:
        return [Sentence(text=N_("The box's certificate expired on {until}"), facts=facts, mend=mend, bad=True)]
    if status.certificate_renew:
        return [
            Sentence(
                text=N_("The box's certificate should be renewed; it is good until {until}"),
                facts=facts,
                mend=mend,
                bad=True,
            )
        ]
    return []
