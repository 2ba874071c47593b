"""The best of several seeds, played on numbers: what is drawn how far, what is dropped, what is taken and counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_faceid.likeness.search import Look, Plan, Search, search

STEPS = 20


class Played:
    """Candidates whose likeness is known, at every step alike; counts what is drawn."""

    def __init__(self, ends: Sequence[float | None], allowed: int = 10_000) -> None:
        self.ends, self.at, self.dropped, self.allowed = ends, dict[int, int](), list[int](), allowed

    def draw(self, numbers: Sequence[int], step: int) -> list[Look]:
        looks: list[Look] = []
        for number in numbers:
            assert number not in self.dropped
            calls = step - self.at.get(number, 0)
            assert calls > 0
            if calls > self.allowed:
                return looks
            self.allowed -= calls
            self.at[number] = step
            looks.append(Look(self.ends[number], calls))
        return looks

    def search(self, **settings: object) -> Search:
        plan = Plan(**{"count": len(self.ends), "steps": STEPS, **settings})  # type: ignore[arg-type]
        return search(plan, self.draw, self.dropped.append)


def test_eight_are_halved_until_two_are_finished() -> None:
    played = Played([0.3, 0.5, 0.4, 0.7, 0.2, 0.6, 0.1, 0.0])
    found = played.search()
    assert Plan(8, STEPS).stages(8, 2) == [(6, 4), (14, 2)]
    assert Plan(16, STEPS).stages(16, 2) == [(6, 6), (14, 2)]
    assert found.chosen == (3,)
    assert found.calls == 8 * 6 + 4 * 8 + 2 * 6 == sum(played.at.values())
    assert [one.dropped_at for one in found.candidates] == [6, 14, 14, None, 6, None, 6, 6]
    assert sorted(played.dropped) == [0, 1, 2, 4, 5, 6, 7]
    assert found.best == 0.7


def test_without_look_ahead_all_are_drawn() -> None:
    found = Played([0.3, 0.5, 0.4]).search(look_ahead=False, keep=2)
    assert (found.chosen, found.calls) == ((1, 2), 60)


def test_a_target_ends_it_at_the_first_that_reaches_it() -> None:
    played = Played([0.3, 0.65, 0.9, 0.7])
    found = played.search(look_ahead=False, target=0.6)
    assert (found.chosen, found.calls, len(found.candidates)) == ((1,), 40, 2)
    assert found.meets_target


def test_a_target_with_look_ahead_begins_with_few() -> None:
    easy = Played([0.7] * 8).search(target=0.6)
    assert (easy.chosen, easy.calls) == ((0,), STEPS)
    hard = Played([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]).search(target=0.95)
    assert hard.chosen in {(6,), (7,)}
    assert not hard.meets_target
    assert "NOT reached" in hard.sentence(range(8))


def test_keep_wants_that_many_at_the_target() -> None:
    found = Played([0.7, 0.1, 0.8, 0.65, 0.9, 0.9]).search(look_ahead=False, target=0.6, keep=3)
    assert found.chosen == (2, 0, 3)
    assert len(found.candidates) == 4


def test_no_face_is_less_than_any_face() -> None:
    found = Played([None, -0.5, None]).search()
    assert found.chosen == (1,)
    assert Played([None, None]).search().best is None


def test_equals_are_taken_in_their_order() -> None:
    assert Played([0.5] * 8).search(keep=2).chosen == (0, 1)


def test_an_interrupted_search_takes_the_best_so_far() -> None:
    found = Played([0.3, 0.5, 0.4, 0.7], allowed=3 * 6).search()
    assert found.is_interrupted
    assert found.chosen == (1,)
    assert found.calls == 18
    assert "interrupted" in found.sentence(range(4))


def test_what_happened_is_said_in_words() -> None:
    found = Played([0.3, 0.5, 0.4]).search()
    assert found.chosen == (1,)
    assert found.candidates[0].dropped_at == 6
    assert found.sentence(range(100, 103)) == (
        "3 seeds tried, 1 dropped on the way, 46 UNet calls; kept: seed 101 (0.50)."
    )


@given(
    st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=1, max_size=64),
    st.integers(1, 8),
    st.one_of(st.none(), st.floats(0, 1)),
    st.booleans(),
    st.integers(1, 40),
)
def test_any_search(ends: list[float | None], keep: int, target: float | None, look_ahead: bool, steps: int) -> None:
    keep = min(keep, len(ends))
    played = Played(ends)
    settings = {"keep": keep, "target": target, "look_ahead": look_ahead, "steps": steps}
    found = played.search(**settings)
    assert len(found.chosen) == keep
    assert all(played.at[one] == steps and found.candidates[one].is_finished for one in found.chosen)
    assert found.calls == sum(played.at.values()) <= len(ends) * steps
    assert sorted([*found.chosen, *played.dropped]) == [one.number for one in found.candidates]
    assert [one.number for one in found.candidates] == list(range(len(found.candidates)))
    if target is None:  # what is seen on the way is what comes, here: so the best of all is found
        best = max(-2.0 if one is None else one for one in ends)
        assert (-2.0 if found.best is None else found.best) == best
    assert Played(ends).search(**settings) == found


@pytest.mark.parametrize("steps", range(1, 12))
def test_few_steps_leave_no_room_for_looks_and_nothing_breaks(steps: int) -> None:
    assert all(0 < step < steps for step, _ in Plan(8, steps).stages(8, 1))
