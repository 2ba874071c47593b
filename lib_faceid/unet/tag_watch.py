"""Count the steps in which conditioning arrived at the UNet without slot tags: in those, no adapter acted."""

from __future__ import annotations

from torch import Tensor

__all__ = ["TagWatch"]


class TagWatch:
    """The steps in which tags were expected, and those of them that people were missing from.

    Calls without tags alone are no alarm: other extensions call the UNet too, with prompts of their own. So a step is
    odd when such a call came in it, and people are missing from an odd step when fewer of their rows came than were
    tagged. Which rows those were is asked when all is over: until then nothing is computed, and no GPU waited for.
    """

    def __init__(self) -> None:
        self.steps = 0
        """Steps in which tags were expected."""
        self.untagged_calls = 0
        """UNet calls in those steps that came without tags."""
        self.unplaced_calls = 0
        """UNet calls with people in regions that showed a part of the picture whose place was not known."""
        self.unreached_calls = 0
        """UNet calls for which ControlNets were run, and whose blocks were then called by nobody's usual way."""
        self._expected = 0
        self._is_odd = False
        self._slots: list[Tensor] = []
        self._odd: list[tuple[int, list[Tensor]]] = []

    def begin_step(self, rows: int) -> None:
        """Expect that many rows of people from now on."""
        self._end_step()
        self.steps += 1
        self._expected = rows

    def record_call(self, slots: Tensor | None, *, is_placed: bool = True) -> None:
        """Take note of a UNet call: the slots of its rows, or None for one without tags; whether regions could hold."""
        self.unplaced_calls += not is_placed
        if slots is None:
            self.untagged_calls += 1
            self._is_odd = True
        else:
            self._slots.append(slots)

    def missed(self) -> int:
        """Return from how many steps people were missing. Waits for the GPU where a step was odd."""
        self._end_step()
        return sum(sum(int((slots > 0).sum()) for slots in calls) < expected for expected, calls in self._odd)

    def _end_step(self) -> None:
        if self._is_odd:
            self._odd.append((self._expected, self._slots))
        self._is_odd, self._slots = False, []
