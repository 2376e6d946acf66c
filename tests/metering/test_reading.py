"""Which readings are believed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.metering.profile import Decoded
from gateway.metering.reading import Belief, Believed, Refused, Verdict

MOST = 5_000_000  # millilitres an hour
MINUTE = 60.0


def judge(belief: Belief, registers: list[int | None], step: int = 1000) -> tuple[Belief, list[Verdict]]:
    """Looks once a minute."""
    verdicts = []
    at = belief.at
    for register in registers:
        at += MINUTE
        look = Decoded(register, step) if register is not None else Decoded(None, code="ffff")
        belief, verdict = belief.judge(look, at)
        verdicts.append(verdict)
    return belief, verdicts


def known(register: int = 1_000_000, rolls_over_at: int = 0) -> Belief:
    belief, _ = judge(Belief(MOST, rolls_over_at), [register, register])
    return belief


def codes(verdicts: list[Verdict]) -> list[str]:
    return [verdict.code if isinstance(verdict, Refused) else "ok" for verdict in verdicts]


def test_a_first_reading_waits_for_a_second() -> None:
    belief, verdicts = judge(Belief(MOST), [5000, 6000, 7000])
    assert codes(verdicts) == ["first", "ok", "ok"]
    assert belief.register == 7000


def test_one_wild_reading_is_refused_and_forgotten() -> None:
    _, verdicts = judge(known(), [1_001_000, 900_001_000, 1_002_000, 0, 1_003_000, None, 1_004_000])
    assert codes(verdicts) == ["ok", "impossible", "ok", "backwards", "ok", "ffff", "ok"]


def test_a_replaced_meter_is_believed_at_the_third_reading_and_the_total_goes_on() -> None:
    belief, verdicts = judge(known(), [7000, 8000, 9000, 10_000])
    assert codes(verdicts) == ["backwards", "backwards", "ok", "ok"]
    third, fourth = verdicts[2:]
    assert isinstance(third, Believed)
    assert (third.replaced, third.before, third.register, third.total) == (True, 1_000_000, 9000, 1_002_000)
    assert isinstance(fourth, Believed)
    assert fourth.total == 1_003_000
    assert belief.register == 10_000


def test_a_register_rolls_over() -> None:
    full = 99_999_999
    _, verdicts = judge(known(full - 500, full + 1), [400, 1400])
    first = verdicts[0]
    assert isinstance(first, Believed)
    assert (first.rolled_over, first.replaced, first.total) == (True, False, full + 401)


def test_a_gap_may_bring_as_much_as_a_pipe_gives() -> None:
    belief = known()
    day = belief.at + 86_400
    _, verdict = belief.judge(Decoded(1_000_000 + 24 * MOST, 1), day)
    assert isinstance(verdict, Believed)
    _, verdict = belief.judge(Decoded(1_000_000 + 25 * MOST, 1), day)
    assert isinstance(verdict, Refused)


def test_a_float_that_wobbles_is_no_use() -> None:
    _, verdicts = judge(known(), [999_500, 1_000_200, 999_800], step=1000)
    assert codes(verdicts) == ["ok", "ok", "ok"]


def test_a_repeated_old_answer_is_stale() -> None:
    belief, at = known(), 1000.0
    found = []
    for running in (10.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 130.0):
        at += MINUTE
        belief, verdict = belief.judge(Decoded(1_000_000, 1, running=running), at)
        found.append(verdict)
    assert codes(found) == ["ok", "ok", "ok", "ok", "ok", "ok", "stale", "ok"]


LOOKS = st.lists(
    st.tuples(st.sampled_from([1.0, 60.0, 60.0, 3600.0, 90_000.0]), st.integers(0, 10**9) | st.none()), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(LOOKS, st.sampled_from([0, 10**9, 2**32]))
def test_the_total_never_falls_and_never_leaps(looks: list[tuple[float, int | None]], rolls: int) -> None:
    belief, at = Belief(MOST, rolls), 0.0
    last: tuple[float, int] | None = None
    for pause, register in looks:
        at += pause
        look = Decoded(register, 1) if register is not None else Decoded(None, code="ffff")
        belief, verdict = belief.judge(look, at)
        if isinstance(verdict, Refused):
            continue
        if last is not None:
            possible = MOST * (at - last[0] + 4 * MINUTE) / 3600 + 10
            assert 0 <= verdict.total - last[1] <= possible
        last = at, verdict.total


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 80_000), min_size=2, max_size=50), st.integers(0, 49))
def test_an_honest_meter_is_believed_and_one_lie_changes_nothing(steps: list[int], lie_at: int) -> None:
    register, registers = 10**9, [10**9]
    for step in steps:
        register += step
        registers.append(register)
    belief, verdicts = judge(Belief(MOST), list(registers), step=1)
    assert codes(verdicts) == ["first"] + ["ok"] * len(steps)
    place = 2 + lie_at % max(1, len(registers) - 2)
    with_lie: list[int | None] = [*registers[:place], 5, *registers[place:]]
    after, verdicts = judge(Belief(MOST), with_lie, step=1)
    assert (after.register, after.offset) == (belief.register, belief.offset)
    assert codes(verdicts).count("backwards") == 1
