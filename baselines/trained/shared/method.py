"""What TalkingGaussian, InsTaG and GaussianTalker say alike as methods of the suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from d3talker.learning.contract import Method
from d3talker.options import ALL
from d3talker.options import Options as Named

GAUSSIAN_DEVIATIONS = (
    "Re-implemented from a fact sheet of the official code (docs/baselines.md); its own outputs are a row apart.",
    "Sizes in pixels go with the picture's; near plane and largest alpha are this suite's.",
)
SAMPLING_DEVIATION = "Guided sampling takes the nearest frames where the official loop would reject for ever."
MINI_DEVIATION = "At `mini`, Gaussians start on the fitted head, and counts, lengths and rates differ from the official ones."


class GaussianMethod(Method):
    """A method whose test-time option is the eyes."""

    neutral: ClassVar[Named] = {"device": ALL, "schedule": ("checkpoint_seconds",)}
    test_time: ClassVar[Named] = {"eyes": ALL}

    def driven(self, options: Any, motion: Path | None = None) -> list[str]:
        """Sentences on what drives test frames, for footnotes."""
        return [{
            "loop": "Blinks are the training frames' in a loop.", "still": "The eyes do not blink.",
            "video": "Blinks are those of the test video, as in the official code.",
        }[options.eyes]]
