"""The keys of features."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lib_faceid.encoders import features
from lib_faceid.encoders.features import FEATURE_SHAPES, FeatureKey


def test_each_constant_has_a_shape_and_each_shape_a_constant() -> None:
    constants = {value for value in vars(features).values() if isinstance(value, FeatureKey)}
    assert constants == set(FEATURE_SHAPES)
    assert features.ARCFACE.shape == (512,)
    assert features.CLIP_H_HIDDEN.shape == (257, 1280)
    assert features.CLIP_BIGG_PROJECTED.shape == (1280,)


def test_an_unknown_feature_has_no_shape() -> None:
    with pytest.raises(KeyError):
        _ = FeatureKey("clip_vit_h", "embedding").shape


def test_the_keys_need_no_torch() -> None:
    code = "import sys, lib_faceid.encoders.features; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "False\n"
