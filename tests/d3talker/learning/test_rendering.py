"""Frames by signals: whose eyes drive them."""

from __future__ import annotations

import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.learning.rendering import eyes_at_test


@pytest.mark.parametrize(("rule", "wanted"), [("loop", [0, 1, 2, 1, 0]), ("still", [7] * 5), ("video", [4] * 5)])
def test_eyes_follow_one_rule(rule, wanted):
    trained, filmed = np.arange(3.0)[:, None], np.full((5, 1), 4.0)
    assert eyes_at_test(trained, filmed if rule == "video" else None, 5, rule, rest=7.0)[:, 0].tolist() == wanted


def test_a_foreign_sound_was_not_filmed():
    with pytest.raises(UserError, match="no eyes of its own"):
        eyes_at_test(np.zeros((3, 6)), None, 5, "video")
