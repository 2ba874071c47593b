"""The finished pictures of one job, looked at once each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import FaceIDError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.jobs.job import Job
from lib_faceid.likeness.judging import judge
from lib_faceid.likeness.score import PictureScore
from lib_faceid.likeness.watching import Watches

__all__ = ["Scoring"]

NOT_LOOKED_AT = "The likeness of the pictures was not looked at: {}"


class Scoring:
    """Scores a job's pictures; a machine without face models is said once, and the pictures are drawn all the same."""

    def __init__(self, job: Job, face_analyser: Callable[[], FaceAnalyser], watches: Watches | None = None) -> None:
        """Take what gives the face models, asked only where there is a person; and the alarms that go on after a job.

        face_analyser may raise FaceIDError.
        """
        self._job, self._face_analyser = job, face_analyser
        self._watches = watches or Watches()
        self._is_off = False

    def look(self, picture: NDArray[np.uint8], image: int) -> tuple[PictureScore | None, list[str]]:
        """Return the score of a finished picture (uint8 RGB [H, W, 3]), and sentences to say besides.

        image: which of the job's pictures it is, from 0. None where nobody was asked for, or nothing can look.
        """
        expected = [] if self._is_off else self._job.expected(image)
        if not expected:
            return None, []
        try:
            score = judge(picture, expected, self._face_analyser())
        except FaceIDError as error:
            self._is_off = True
            return None, [NOT_LOOKED_AT.format(error)]
        return score, self._watches.add(expected, score)
