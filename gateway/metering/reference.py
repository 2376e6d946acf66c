"""Writes `docs/reference/profile.md`, the keys of a meter's register map. `python -m gateway.metering.reference`.

A test asserts that the committed page is fresh and that every key has its text.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

from gateway.config.reference import rows
from gateway.metering import profile as p

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "profile.md"
EXAMPLE: Final = "usw-dn15-dn40"

#: What each key is for. `Struct.field`.
TEXTS: Final[dict[str, str]] = {
    "Profile.model": "The meter's name as its maker writes it.",
    "Profile.source": "The document that the map was taken from, with its version: whoever doubts it looks there.",
    "Profile.function": "`holding` is function 3, `input` function 4. There is none that writes.",
    "Profile.words": "Which of a value's registers comes first: the high one, or the low one ('swapped').",
    "Profile.bytes": "Which byte of a register comes first. With both `low-first` it is what makers call DCBA.",
    "Profile.most_registers": "How many the meter gives in one answer.",
    "Profile.bridge": "Registers between two wanted ones that may be read along, to save a request.",
    "Profile.answers_within": "Seconds that an answer may take to begin. `loumen meter read` measures it.",
    "Profile.baud": "As delivered; for the reader of the file, the wire's own is in `[bus.NAME]`.",
    "Profile.rolls_over_at": "Litres at which the register begins again, where the document names an earlier end than "
    "the registers' format has (a display of 99999.999 m³: `100_000_000`). 0: where the format ends.",
    "Profile.note": "Shown with every reading: what a person must check or set in the meter.",
    "Profile.note_zh": "The same in Chinese.",
    "Profile.total": "The register, in one part or more; the part that counts most comes first. They are added.",
    "Profile.running": "Seconds since power-up, where the meter has them: a repeated old answer is found by them.",
    "Profile.value": "Other quantities, for `loumen meter read`; polls do not ask for them.",
    "Profile.flag": "What the meter says of itself; polls ask for it, and a change is an event.",
    "Profile.probe": "A register with a known content: it proves the model, and the order of words and bytes.",
    "Number.address": "The first register on the wire, from 0. Manuals that count from 1 or 40001 are one ahead.",
    "Number.type": "How many registers, and what they hold. `bcd32`: eight decimal digits.",
    "Number.millilitres": "What one count is worth: 1000000 for m³, 1000 for L, 1 for mL.",
    "Value.address": "As above.",
    "Value.type": "As above.",
    "Value.scale": "What one count is worth in `unit`.",
    "Value.unit": "For people.",
    "Flag.name": "What it means.",
    "Flag.address": "As above; one register.",
    "Flag.bit": "The bit that says so, 0 the lowest. Either this or `equals`.",
    "Flag.equals": "The register's whole content that says so.",
    "Probe.address": "As above.",
    "Probe.type": "As above.",
    "Probe.equals": "The content.",
}
TABLES: Final[tuple[tuple[str, type[msgspec.Struct]], ...]] = (
    ("at the top of the file", p.Profile),
    ("[[total]], once for each part", p.Number),
    ("[value.NAME] and [running]", p.Value),
    ("[[flag]], once for each", p.Flag),
    ("[probe]", p.Probe),
)
HEAD: Final = """\
# A meter's register map

Made by `python -m gateway.metering.reference`; do not edit. How to write one of your own, step by step:
[../meters.md](../meters.md), [../meters.zh.md](../meters.zh.md).

One TOML file a model. The shipped ones are in `profiles/`; one of the same name in the folder of
`[metering] profiles` hides a shipped one. `loumen meter profile check FILE` tells every mistake with its line and key,
`loumen meter profile show FILE` what a poll asks for. Unknown keys are refused. A profile only reads: on some
meters writing a zero to a register zeroes the total, so there is nothing to write with.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, kind in TABLES:
        lines = [f"## {title}", "", "| key | may be | default | what for |", "|---|---|---|---|"]
        lines += [f"| `{row.key}` | {row.allowed} | {row.default} | {row.text} |" for row in rows(kind, TEXTS)]
        parts.append("\n".join(lines) + "\n")
    example = (PAGE.parents[2] / "profiles" / f"{EXAMPLE}.toml").read_text("utf-8")
    parts.append(f"## An example, `profiles/{EXAMPLE}.toml`\n\n```toml\n{example}```\n")
    return "\n".join(parts)


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
