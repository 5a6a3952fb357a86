"""Background, ground truth and torso images of a clip whose masks are known (protocol of the AD-NeRF family)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from d3talker.people.preparation.hidden import BODY, HEAD, Plate, spread
from d3talker.people.subject.palette import Label

MARGIN = 5  # pixels at 512: background this near to the person may hold its blurred edge
TORSO_ROWS, NECK_ROWS, PUSH_DOWN = 9, 53, 4  # at 512 (ER-NeRF data_utils/process.py:155-240)
DARKEN = 0.98  # a row


def static_background(images: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> np.ndarray:
    """The picture without the person, uint8 [H, W, 3]: the median of each pixel where it shows background.

    What is never seen is filled in from around.
    """
    stack, clear = np.stack(images), np.stack([_clear(label) for label in labels])
    seen = clear.sum(0)
    masked = np.ma.MaskedArray(stack, np.broadcast_to(~clear[..., None], stack.shape))
    picture = np.ma.median(masked, axis=0).filled(0).round().astype(np.uint8)
    hidden = (seen == 0).astype(np.uint8)
    if hidden.all():
        return stack.mean(0).round().astype(np.uint8)
    return cv2.inpaint(picture, hidden, max(2, stack.shape[1] // 64), cv2.INPAINT_TELEA)


def ground_truth(image: np.ndarray, labels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The frame with its background replaced by the static one, uint8 [H, W, 3]."""
    return np.where((labels == Label.BACKGROUND)[..., None], background, image)


def torso_image(truth: np.ndarray, labels: np.ndarray, background: np.ndarray, plate: Plate | None = None) -> np.ndarray:
    """Torso and neck as uint8 RGBA [H, W, 4], and behind the head what it hides of them, so that it may move over them.

    Next to what is seen the official codes' strips, pushed up from the top of each column: no other frame has this frame's light.
    Beyond them what the plate knows from other frames; what it knows neither as torso nor as background takes the nearest
    colour of the torso.
    """
    height = labels.shape[0]
    head, body = np.isin(labels, HEAD), labels == Label.TORSO
    column = np.ones((2 * _rows(3, height) + 1, 1), np.uint8)
    neck = cv2.dilate((labels == Label.NECK).astype(np.uint8), column) > 0
    picture = np.where(head[..., None], background, truth).astype(np.float32)  # no head in what is blurred below
    torso_strip = _push_up(picture, body, head, _rows(TORSO_ROWS, height), 0)
    neck_strip = _push_up(picture, neck, head, _rows(NECK_ROWS, height), _rows(PUSH_DOWN, height))
    blurred = cv2.GaussianBlur(picture, (5, 5), 0)
    picture[neck_strip] = blurred[neck_strip]
    alpha = (neck & ~head) | body | torso_strip | neck_strip
    laid = None if plate is None else plate.laid_on(truth)
    if laid is not None:
        known, seen, behind = laid
        fills = head & seen & ~alpha
        picture[fills] = known[fills]
        alpha = (alpha & ~(head & behind)) | fills
        away = cv2.distanceTransform((~alpha).astype(np.uint8), cv2.DIST_L2, 5)
        near = head & ~alpha & ~behind & (away <= _rows(NECK_ROWS, height))
        picture = np.where(near[..., None], spread(picture.round().astype(np.uint8), np.isin(labels, BODY) | fills), picture)
        alpha |= near
    picture[~alpha] = 0
    return np.dstack([picture.round().astype(np.uint8), np.where(alpha, 255, 0).astype(np.uint8)])


def _push_up(picture: np.ndarray, part: np.ndarray, head: np.ndarray, rows: int, down: int) -> np.ndarray:
    """Copy the top pixel of each column upwards where the head is right above; returns the strip, bool [H, W]."""
    strip = np.zeros(part.shape, bool)
    columns = np.flatnonzero(part.any(0))
    tops = part[:, columns].argmax(0)
    under = (tops > 0) & head[np.maximum(tops - 1, 0), columns]
    for x, top in zip(columns[under], tops[under]):
        source = top + min(int(part[:, x].sum()) - 1, down)
        first = max(source - rows + 1, 0)
        fade = DARKEN ** np.arange(source - first + 1)[::-1, None]
        picture[first:source + 1, x] = picture[source, x] * fade
        strip[first:source + 1, x] = True
    return strip


def _clear(labels: np.ndarray) -> np.ndarray:
    """Background well away from the person."""
    margin = _rows(MARGIN, labels.shape[0])
    person = (labels != Label.BACKGROUND).astype(np.uint8)
    return cv2.dilate(person, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) == 0


def _rows(at_512: int, height: int) -> int:
    return max(1, round(at_512 * height / 512))
