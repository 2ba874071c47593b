"""Which step a UNet call belongs to, by what the WebUI's samplers were seen to do."""

from __future__ import annotations

import pytest

from lib_faceid.hosts.calls_per_step import Pace, pace_of


def each(steps: int, calls: int) -> list[int]:
    """So many steps of so many calls."""
    return [step for step in range(steps) for _ in range(calls)]


@pytest.mark.parametrize(
    ("sampler", "calls", "levels", "seen"),
    [  # the function, calls of a step as the WebUI declares them, levels of noise, and the step of each call
        pytest.param("sample_euler", 1, 9, each(8, 1), id="Euler, 8 steps"),
        pytest.param("sample_dpmpp_2m", 1, 11, each(10, 1), id="DPM++ 2M, img2img, 10 steps of 15"),
        pytest.param("sample_euler", 1, 17, each(16, 1), id="Euler, schedule DDIM, 15 steps that become 16"),
        pytest.param("sample_heun", 2, 9, each(8, 2)[:-1], id="Heun, 8 steps"),
        pytest.param("sample_heun", 2, 9, each(8, 2), id="Heun, a schedule that does not end in 0"),
        pytest.param("sample_dpmpp_sde", 2, 6, each(5, 2)[:-1], id="DPM++ SDE, hires, 5 steps"),
        pytest.param("restart_sampler", 2, 21, each(20, 2)[:-1], id="Restart, 20 steps"),
        pytest.param("sample_dpm_fast", 1, 16, each(15, 1), id="DPM fast, 15 steps"),
        pytest.param("ddim", 1, 8, each(7, 1), id="DDIM, 8 steps that become 7"),
        pytest.param("ddim", 1, 16, each(15, 1), id="DDIM, 15 steps"),
        pytest.param("plms", 1, 16, [0, *each(15, 1)], id="PLMS, 15 steps"),
        pytest.param("plms", 1, 4, [0, 0, 1, 2], id="PLMS, hires, 5 steps that become 3"),
        pytest.param("unipc", 1, 16, each(16, 1), id="UniPC, 15 steps that become 16"),
        pytest.param("unipc", 1, 4, each(4, 1), id="UniPC, hires, 5 steps that become 4"),
        pytest.param("sample_heunpp2", 1, 9, [*each(6, 3), 6, 6, 7], id="HeunPP2, 8 steps"),
        pytest.param("sample_heunpp2", 1, 3, [0, 0, 1], id="HeunPP2, 2 steps"),
        pytest.param("sample_heunpp2", 1, 2, [0], id="HeunPP2, a step"),
        pytest.param("sample_lcm", 1, 9, each(8, 1), id="LCM, 8 steps"),
    ],
)
def test_the_step_of_each_call(sampler: str, calls: int, levels: int, seen: list[int]) -> None:
    pace = pace_of(sampler, calls, levels)
    assert [pace.step_of(call) for call in range(len(seen))] == seen
    assert pace.steps == seen[-1] + 1


def test_an_adaptive_sampler_decides_on_its_steps() -> None:
    pace = pace_of("sample_dpm_adaptive", 1, 21)
    assert [pace.step_of(call) for call in range(132)] == each(44, 3)
    assert pace.steps == 0


def test_no_pass_is_without_a_step() -> None:
    """DDIM at a denoising strength near 0 does nothing, and nothing divides by that."""
    assert pace_of("ddim", 1, 0) == Pace(1)
