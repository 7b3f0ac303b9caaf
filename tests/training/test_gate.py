"""The gate: limits, anchors, champions, and gates that are none."""

import json
import math

import pytest

from training.errors import InputError
from training.metrics import Gate, Values, gate

VALUES = {"bits_per_dim": 1.9, "fd": 2.0, "active_units": 7, "memorisation": 0.95}
ANCHORS = {"pixels": {"fd": 4.5, "bits_per_dim": 2.44}, "real": {"fd": 0.1}}


def passed(reasons: list[gate.Reason]) -> bool:
    return all(reason.passed for reason in reasons)


def why(reasons: list[gate.Reason]) -> list[str]:
    return [reason.why for reason in reasons]


def decided(limits: Gate, values: Values = VALUES) -> list[gate.Reason]:
    return gate.decide(limits, values, ANCHORS)


def test_within_all_limits_it_passes_and_says_why() -> None:
    reasons = decided({"bits_per_dim": {"max": 2.437}, "active_units": {"min": 1}})
    assert passed(reasons)
    assert why(reasons) == ["active_units 7 is at least 1", "bits_per_dim 1.9 is at most 2.437"]


def test_a_limit_missed_fails() -> None:
    reasons = decided({"active_units": {"min": 1}, "fd": {"max": 1.5}})
    assert [reason.passed for reason in reasons] == [True, False]
    assert reasons[1] == gate.Reason("fd max", 2.0, 1.5, False, "fd 2 is above the limit 1.5")


def test_limits_include_their_bound() -> None:
    assert passed(decided({"fd": {"min": 2.0, "max": 2.0}}))


def test_a_limit_may_be_an_anchor() -> None:
    assert why(decided({"fd": {"max": "pixels"}})) == ["fd 2 is at most 4.5 of pixels"]
    assert not passed(decided({"fd": {"max": "real"}}))
    with pytest.raises(InputError, match="did you mean pixels"):
        decided({"fd": {"max": "pixel"}})
    with pytest.raises(InputError, match="the anchor 'real', which has none; known are pixels"):
        decided({"bits_per_dim": {"max": "real"}})  # real data has no code length of its own


def test_what_is_not_a_number_never_passes() -> None:
    for limits in ({"fd": {"min": 0}}, {"fd": {"max": 9}}):
        reasons = decided(limits, {**VALUES, "fd": math.nan})
        assert why(reasons) == ["fd is not a finite number"]
        assert not passed(reasons)
    assert not passed(decided({"fd": {"min": 0}}, {"fd": math.inf}))


def test_a_limit_on_what_was_not_measured_is_an_error_not_a_no() -> None:
    with pytest.raises(InputError, match="the gate limits score, which is not measured here"):
        decided({"score": {"min": 5}})


def test_an_empty_gate_has_nothing_to_say() -> None:
    assert decided({}) == []


def test_gates_are_laid_over_each_other() -> None:
    recipe: Gate = {"fd": {"max": 3.0}, "bits_per_dim": {"max": 2.4}}
    user = gate.parse('{"fd": {"min": 0.01}, "bits_per_dim": null, "coverage": {"min": 0.8}}')
    assert user.champion
    assert gate.merged(recipe, user.limits) == {
        "fd": {"max": 3.0, "min": 0.01},
        "coverage": {"min": 0.8},
    }
    assert recipe == {"fd": {"max": 3.0}, "bits_per_dim": {"max": 2.4}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "not an object"),
        ('{"bits_per_dm": {"max": 2}}', "did you mean bits_per_dim"),
        ('{"zzz": {"max": 2}}', "known are"),
        ('{"fd": 2}', "not an object with min or max"),
        ('{"fd": {}}', "not an object with min or max"),
        ('{"fd": {"maximum": 2}}', "did you mean max"),
        ('{"fd": {"max": true}}', "neither a number"),
        ('{"fd": {"max": NaN}}', "neither a number"),
        ('{"fd": {"max": [1]}}', "neither a number"),
        ('{"fd": {"max": "pixel"}}', "'pixel', which is no anchor; did you mean pixels"),
        ('{"champion": null}', "champion is null, neither true nor false"),
        ('{"champion": {"max": 2}}', "neither true nor false"),
        ('{"champon": false}', "did you mean champion"),
    ],
)
def test_what_is_no_gate_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        gate.parse(text)


@pytest.mark.parametrize("champion", [True, False])
def test_the_champion_may_be_left_out(champion: bool) -> None:
    """It is no metric: nothing else of the gate changes."""
    asked = gate.parse(json.dumps({"champion": champion, "fd": {"max": 2}}))
    assert asked == gate.Asked({"fd": {"max": 2}}, champion)


def test_a_challenger_may_be_as_bad_as_chance_makes_it() -> None:
    champion = {"bits_per_dim": 1.9, "fd": 2.0}
    assert passed(gate.compare(VALUES, champion, "v3"))
    within = gate.compare({"bits_per_dim": 1.91, "fd": 2.25}, champion, "v3")
    assert passed(within)
    assert why(within)[0] == "bits_per_dim 1.91 is not worse than v3's 1.9 (tolerance 0.019)"


def test_a_worse_challenger_is_held_back() -> None:
    mine, theirs = {"bits_per_dim": 2.0, "fd": 0.5}, {"bits_per_dim": 1.9, "fd": 2.0}
    reasons = gate.compare(mine, theirs, "v3")
    assert [reason.passed for reason in reasons] == [False, True]
    assert why(reasons)[0] == "bits_per_dim 2 is worse than v3's 1.9 (tolerance 0.019)"
    assert not passed(gate.compare({"fd": math.nan}, {"fd": 2.0}, "v3"))


def test_a_broken_champion_holds_nobody_back_but_the_broken() -> None:
    broken = {"fd": math.nan}
    assert passed(gate.compare({"fd": 2.0}, broken, "v3"))
    assert not passed(gate.compare(broken, broken, "v3"))


def test_reasons_hold_no_number_that_json_has_no_word_for() -> None:
    nan, one = {"fd": math.nan}, {"fd": 1.0}
    for mine, theirs in ((nan, one), (one, nan), (nan, nan)):
        reasons = [*gate.compare(mine, theirs, "v3"), *gate.decide({"fd": {"max": 2}}, mine, {})]
        numbers = [number for reason in reasons for number in (reason.value, reason.limit)]
        assert all(number is None or math.isfinite(number) for number in numbers)
