"""Every mistake at once, each in the exact words a technician reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import schema
from gateway.config.load import Loaded, parse
from gateway.config.mistakes import ConfigMistakes

FILE = Path("gateway.toml")
KNOWN = ", ".join(sorted(schema.Gateway.__struct_fields__))

GOOD = """\
[site]
name = "Garden"
community = "garden-1"

[box]
name = "unit-1"

[door.east]
name = "East"
contact = { driver = "simulated", line = 3, active_low = true, bias = "up" }
fire = { driver = "simulated", line = 4 }

[door.east.lock]
output = { driver = "simulated", line = 5 }
"""


def told(text: str) -> list[str]:
    """The mistakes of a text, as they are rendered, without the file's name; warnings and hints included."""
    try:
        mistakes = parse(text, FILE).warnings
    except ConfigMistakes as error:
        mistakes = error.mistakes
    return [mistake.render().removeprefix("gateway.toml:") for mistake in mistakes if mistake.severity != "hint"]


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_file() -> None:
    loaded = parse(GOOD, FILE)
    assert isinstance(loaded, Loaded)
    assert loaded.config.door["east"].lock.output.line == 5
    assert loaded.config.site.timezone == "Asia/Shanghai"
    assert told(GOOD) == []


ONE_MISTAKE = [
    (
        'community = "garden-1"',
        'comunity = "garden-1"',
        [
            "1: site.community: community is missing\n"
            "  mend: add community: 1 to 32 small letters, digits, '-' and '_'",
            "3: site.comunity: comunity is not known here\n  mend: did you mean community?",
        ],
    ),
    (
        'community = "garden-1"',
        'community = "Garden 1"',
        [
            '3: site.community: "Garden 1" is not a name of ours\n'
            "  mend: allowed: 1 to 32 small letters, digits, '-' and '_'"
        ],
    ),
    ('name = "Garden"', "name = 7", ["2: site.name: 7 is not text in quotes\n  mend: put it in quotes"]),
    ('name = "Garden"', 'name = " "', ["2: site.name: the site has no name\n  mend: write what people call it"]),
    (
        'name = "Garden"',
        'name = "Garden"\ntimezone = "Asia/Shangai"',
        ['3: site.timezone: there is no time zone "Asia/Shangai"\n  mend: did you mean "Asia/Shanghai"?'],
    ),
    (
        'name = "Garden"',
        'name = "Garden"\nlanguage = "cn"',
        ['3: site.language: "cn" is not one of "en", "zh"'],
    ),
    (
        'name = "unit-1"',
        'name = "unit-1"\nboard = "pi6"',
        [
            '7: box.board: "pi6" is not one of "other", "pi4", "pi5", "simulated"\n  mend: did you mean "pi5"?',
        ],
    ),
    (
        'name = "unit-1"',
        'name = "unit-1"\nstate = "var/lib"',
        ["7: box.state: this is not an absolute path\n  mend: begin it with /"],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulatd", line = 5 }',
        [
            '14: door.east.lock.output.driver: "simulatd" is not one of "gpio_chardev", "gpio_rpi", "simulated"\n'
            '  mend: did you mean "simulated"?'
        ],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        "output = { line = 5 }",
        ['14: door.east.lock.output.driver: driver is missing\n  mend: one of "gpio_chardev", "gpio_rpi", "simulated"'],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulated", line = "5" }',
        ['14: door.east.lock.output.line: "5" is not a whole number\n  mend: write it without quotes'],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulated", line = 5000 }',
        ["14: door.east.lock.output.line: 5000 is out of range\n  mend: allowed: ≥ 0, ≤ 1023"],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulated", line = 5, active_low = "true" }',
        ['14: door.east.lock.output.active_low: "true" is not true or false\n  mend: write it without quotes'],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulated", line = 3 }',
        [
            "10: door.east.contact: line 3 of simulated is used by east.lock already\n"
            "  mend: give one of them another line"
        ],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulated", line = 5, bias = "up" }',
        [
            '14: door.east.lock.output.bias: the output rests electrically low, but bias = "up" pulls it high: '
            "the relay would be on\n"
            '  mend: use bias = "down", or a relay board with the other polarity'
        ],
    ),
    (
        'output = { driver = "simulated", line = 5 }',
        'output = { driver = "simulated", line = 5 }\nopen_for = 12',
        [
            "15: door.east.lock.open_for: a pulse of 12 s is longer than max_on (10 s) allows\n"
            "  mend: make open_for shorter, or max_on longer if the lock's coil stands it"
        ],
    ),
    (
        'name = "East"',
        'name = "East"\npre_alarm = 40',
        [
            "10: door.east.pre_alarm: the pre-alarm of 40 s begins before the door may be open at all (30 s)\n"
            "  mend: make pre_alarm shorter than held_open_after"
        ],
    ),
    (
        'name = "East"',
        'name = "East"\ncamera = "front"',
        ["10: door.east.camera: there is no camera front\n  mend: add a table [camera.front]"],
    ),
    (
        'name = "East"',
        'name = "East"\nlight = { output = { driver = "simulated", line = 9 } }',
        [
            "10: door.east.light: a light follows what the door's camera sees, and this door has none\n"
            "  mend: add `camera`, or take the light out"
        ],
    ),
    (
        'bias = "up" }',
        'bias = "down" }',
        [
            "10: door.east.contact: warning: a cut wire of this contact would look like a closed door\n"
            '  mend: wire it to ground with active_low = true and bias = "up"'
        ],
    ),
    (
        'fire = { driver = "simulated", line = 4 }',
        "fire = 4",
        ["11: door.east.fire: 4 is not a table\n  mend: write its keys below a line of its own: [door.east.fire]"],
    ),
    (
        'fire = { driver = "simulated", line = 4 }',
        'fire = { driver = "simulated", line = 4, debounce = inf }',
        ["11: door.east.fire.debounce: inf is out of range\n  mend: allowed: ≥ 0, ≤ 5"],
    ),
    (
        "[door.east.lock]",
        '[uplink]\nbrokers = [{ host = "mqtt://a", port = 0 }]\n[door.east.lock]',
        [
            "14: uplink.brokers[0].port: 0 is out of range\n  mend: allowed: ≥ 1, ≤ 65535",
            "14: uplink.brokers[0].host: this is not the name or address of a host\n"
            "  mend: without mqtt:// and without a port",
        ],
    ),
    (
        "[door.east.lock]",
        '[uplink]\ntls = false\n[[uplink.brokers]]\nhost = "b.cn"\n[door.east.lock]',
        [
            "14: uplink.tls: without TLS everybody on the way to b.cn can read and open doors\n"
            "  mend: tls = true; without TLS only a broker on this machine"
        ],
    ),
    (
        "[door.east.lock]",
        '[camera.front]\ndriver = "rtsp"\nurl = "http://admin:12345@10.0.0.9/"\n[door.east.lock]',
        [
            '13: camera.front: warning: no door and no lane names this camera\n  mend: add camera = "front" to one',
            "15: camera.front.url: this is not an RTSP address\n  mend: begin it with rtsp:// or rtsps://",
        ],
    ),
    (
        "[door.east.lock]",
        "[door.east.lock]\nmode = 'maintaned'",
        [
            '14: door.east.lock.mode: "maintaned" is not one of "maintained", "momentary"\n'
            '  mend: did you mean "maintained"?'
        ],
    ),
    ("[site]", "[[site]]", ["1: site: a list is not a table\n  mend: write its keys below a line of its own: [site]"]),
    ("[site]", "zzz = 1\n[site]", None),
]


@pytest.mark.parametrize(("old", "new", "expected"), ONE_MISTAKE)
def test_one_mistake(old: str, new: str, expected: list[str] | None) -> None:
    found = told(changed(old, new))
    if expected is None:
        assert found == [f"1: zzz: zzz is not known here\n  mend: known here: {KNOWN}"]
    elif any("warning" in text for text in expected) and len(expected) > 1:
        assert set(found) <= set(expected)  # where there is an error, warnings wait
    else:
        assert found == expected


def test_twenty_five_mistakes_in_one_file() -> None:
    text = """\
[site]
name = "x"
communty = "Haidian 1"
timezone = "Asia/Shangai"

[box]
name = "East Gate"
board = "pi6"
state = "var"

[door.east]
name = "East"
camera = "eats"
pre_alarm = 60
lock = { kind = "failsafe", open_for = 20, output = { driver = "gpio_chardv", chip = "x", line = 17 } }
contact = { driver = "simulated", line = "5", debounce = 9 }

[door.west]
name = 3
lock.output = { driver = "simulated", line = 5, bias = "up" }
lock.max_on = 0
fire = { driver = "simulated", line = 5 }
exit_button = [1]
light = { output = { line = 3 } }

[camera.east]
driver = "rtsp"
url = "http://u:p@h/"

[uplink]
tls = "true"
brokers = [{ host = "a/b", port = 99999 }, { port = 1 }]
[[extra]]
"""
    with pytest.raises(ConfigMistakes) as error:
        parse(text, FILE)
    assert [(mistake.line, mistake.key) for mistake in error.value.mistakes] == [
        (1, "site.community"),
        (3, "site.communty"),
        (4, "site.timezone"),
        (7, "box.name"),
        (8, "box.board"),
        (9, "box.state"),
        (13, "door.east.camera"),
        (14, "door.east.pre_alarm"),
        (15, "door.east.lock.output.driver"),
        (15, "door.east.lock.kind"),
        (15, "door.east.lock.open_for"),
        (16, "door.east.contact.line"),
        (16, "door.east.contact.debounce"),
        (19, "door.west.name"),
        (20, "door.west.lock.output.bias"),
        (21, "door.west.lock.max_on"),
        (22, "door.west.fire"),
        (23, "door.west.exit_button"),
        (24, "door.west.light.output.driver"),
        (28, "camera.east.url"),
        (31, "uplink.tls"),
        (32, "uplink.brokers[0].port"),
        (32, "uplink.brokers[1].host"),
        (32, "uplink.brokers[0].host"),
        (33, "extra"),
    ]
    assert error.value.render().startswith("25 mistakes in gateway.toml\ngateway.toml:1: site.community: ")
    assert "u:p" not in error.value.render()
    assert error.value.facts["count"] == 25


PI = changed('name = "unit-1"', 'name = "unit-1"\nboard = "pi5"')


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            'driver = "gpio_rpi", line = 17',
            [
                "15: door.east.lock.output.driver: RPi.GPIO does not run on a Pi 5\n"
                '  mend: use driver = "gpio_chardev" with chip = "pinctrl-rp1"'
            ],
        ),
        (
            'driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 17',
            [
                "15: door.east.lock.output.chip: pinctrl-bcm2711 is not the chip of a pi5\n"
                '  mend: use chip = "pinctrl-rp1"'
            ],
        ),
        (
            'driver = "gpio_chardev", chip = "pinctrl-rp1", line = 40',
            [
                "15: door.east.lock.output.line: the header has the lines 0 to 27\n"
                "  mend: use the BCM number, not the pin's"
            ],
        ),
        (
            'driver = "gpio_chardev", chip = "pinctrl-rp1", line = 17, active_low = true, bias = "up"',
            [
                "11: door.east.contact.driver: warning: a simulated line moves nothing on a real box\n"
                '  mend: use driver = "gpio_chardev"',
                "12: door.east.fire.driver: warning: a simulated line moves nothing on a real box\n"
                '  mend: use driver = "gpio_chardev"',
                "15: door.east.lock.output.line: warning: line 17 is pulled low from power-up until the daemon starts: "
                "the relay would be energised\n"
                "  mend: use a line from 4 to 8 for an active-low relay board, from 9 to 27 for an active-high one",
            ],
        ),
    ],
)
def test_lines_of_a_pi(output: str, expected: list[str]) -> None:
    assert told(PI.replace('driver = "simulated", line = 5', output)) == expected


def test_both_drivers_of_the_header_mean_one_line() -> None:
    text = GOOD.replace('driver = "simulated", line = 5', 'driver = "gpio_rpi", line = 17').replace(
        'driver = "simulated", line = 4', 'driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 17'
    )
    assert told(text) == [
        "11: door.east.fire: line 17 of pinctrl-bcm2711 is used by east.lock already\n"
        "  mend: give one of them another line"
    ]


def test_buses_and_meters() -> None:
    text = (
        GOOD
        + """
[bus.a]
driver = "serial"
[bus.b]
driver = "tcp"
host = "10.0.0.5"
[bus.c]
driver = "tcp"
host = "10.0.0.5"
[meter.one]
name = "One"
bus = "b"
unit = 7
profile = "x"
[meter.two]
name = "Two"
bus = "b"
unit = 7
profile = "x"
[meter.three]
name = "Three"
bus = "bb"
unit = 8
profile = "x"
[metering]
still = 86400
"""
    )
    assert told(text) == [
        "16: bus.a: a serial bus needs `adapter` or `port`, one of them\n"
        "  mend: 'loumen meter scan' lists the adapters with their serial numbers",
        "21: bus.c: this is the wire of bus b already\n  mend: one bus a wire: hang the meters on b",
        "32: meter.two.unit: meter one has number 7 on this bus already\n"
        "  mend: give each meter of a bus its own number",
        '36: meter.three.bus: there is no bus bb\n  mend: did you mean "b"?',
        "40: metering.still: a pause of 86400 s is never found within 86400 s\n"
        "  mend: make still shorter than still_within",
    ]
