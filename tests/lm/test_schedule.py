import math

import pytest

from understudy.errors import ConfigError
from understudy.lm.schedule import Schedule


def test_warm_up_stable_decay():
    schedule = Schedule(100, "wsd", warm_up_steps=10, decay_share=0.2, floor=0.1)
    assert [schedule.factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert {schedule.factor(step) for step in range(10, 81)} == {1.0}
    assert schedule.factor(85) == pytest.approx(0.1 + 0.9 * (1 - math.sqrt(5 / 20)))
    assert schedule.factor(100) == schedule.factor(10**6) == 0.1


def test_cosine():
    schedule = Schedule(110, "cosine", warm_up_steps=10, floor=0.1)
    assert schedule.factor(10) == pytest.approx(1.0)
    assert schedule.factor(60) == pytest.approx(0.55)
    assert schedule.factor(35) == pytest.approx(0.1 + 0.45 * (1 + math.sqrt(0.5)))
    assert schedule.factor(110) == 0.1


@pytest.mark.parametrize("kind", ["wsd", "cosine"])
def test_it_never_rises_after_the_warm_up(kind):
    for n_steps, warm_up in ((1, 0), (1, 1), (7, 7), (50, 3)):
        schedule = Schedule(n_steps, kind, warm_up_steps=warm_up)
        factors = [schedule.factor(step) for step in range(warm_up, n_steps + 1)]
        assert factors == sorted(factors, reverse=True)
        assert all(0.1 <= factor <= 1 for factor in factors)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_steps": 0}, "n_steps"),
        ({"kind": "step"}, "kind"),
        ({"warm_up_steps": 11}, "warm_up_steps"),
        ({"decay_share": 1.5}, "decay_share"),
        ({"floor": -0.1}, "floor"),
    ],
)
def test_bad_settings_name_the_field(changes, field):
    with pytest.raises(ConfigError, match=f"^{field} must be"):
        Schedule(**{"n_steps": 10, **changes})
