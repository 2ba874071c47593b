"""The Portrait adapter that is made of the miniature's FaceID adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gallery import BLUE, Gallery, strangers
from numpy.typing import NDArray

from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.portrait import TRAINED_PORTRAIT_NAME, write_trained_portrait
from lib_faceid.miniature.trained import RECOGNISER
from lib_faceid.references.identity import Identity

pytest.importorskip("diffusers", reason="the miniature is drawn on diffusers")
STEPS = 3


def test_it_has_the_published_layout_and_says_on_whose_vectors_it_was_trained(tmp_path: Path) -> None:
    adapter = load_adapter(write_trained_portrait(tmp_path / TRAINED_PORTRAIT_NAME))
    assert adapter.variant.id == "portrait"
    assert adapter.recogniser == RECOGNISER


def test_one_photo_gives_what_faceid_draws_without_its_lora_and_the_tokens_of_two_something_else(
    trained_checkpoint: Path, analyser: FaceAnalyser, tmp_path: Path
) -> None:
    first, second = strangers("never_seen", 2).values()
    both = Identity(torch.cat((first.id_embeddings, second.id_embeddings)), recogniser=first.recogniser)
    people = {"one": first, "both": both, "mean": both.averaged()}
    faceid = Gallery(tmp_path, trained_checkpoint, analyser, people, STEPS)
    adapter = write_trained_portrait(tmp_path / TRAINED_PORTRAIT_NAME)
    portrait = Gallery(tmp_path, trained_checkpoint, analyser, people, STEPS, adapter)
    wanted = drawn(faceid, "one", lora=0)
    assert np.abs(drawn(portrait, "one") - wanted).mean() < 0.5
    assert np.abs(drawn(portrait, "both") - wanted).mean() > 1
    assert np.abs(drawn(portrait, "both") - drawn(portrait, "mean")).mean() > 1


def drawn(gallery: Gallery, who: str, **settings: Any) -> NDArray[np.float64]:
    return gallery.draw([who], [0], [BLUE], **settings)[0].pixels.astype(np.float64)
