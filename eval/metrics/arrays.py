"""Frames as the field passes them (numpy or torch, uint8 or float), in one form; refused where two readings are possible."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from d3talker.errors import UserError

Layout = Literal["HWC", "CHW"]
RANGES = (1.0, 255.0)
NAMES = ("the prediction", "the reference")


def pair(
    predicted: Any, reference: Any, data_range: float | None = None, layout: Layout | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Two clips as [T, H, W, 3], both uint8, or both float64 in [0, 255].

    predicted, reference: arrays or tensors [T, H, W, 3], [T, 3, H, W], or a single frame without T; uint8, or floats with their
    `data_range`, 1 or 255.  layout: which axis holds colour, to be said where either could.  Raises UserError for floats without a
    range or outside of it, for 0 ... 1 called 0 ... 255, for shapes that differ, for layouts that could be either, for NaN.
    """
    if data_range is not None and float(data_range) not in RANGES:
        raise UserError(f"data_range is {data_range}; give 1 for values in [0, 1] or 255 for values in [0, 255]")
    given = [_array(clip, name) for clip, name in zip((predicted, reference), NAMES)]
    if len({array.dtype.kind for array in given}) > 1:
        raise UserError(f"the prediction is {given[0].dtype}, the reference {given[1].dtype}; give both as uint8 or both as floats")
    one, two = (_values(_frames(array, name, layout), name, data_range) for array, name in zip(given, NAMES))
    if one.shape[1:] != two.shape[1:]:
        (height, width), (other_height, other_width) = one.shape[1:3], two.shape[1:3]
        raise UserError(
            f"the prediction is {width}x{height} px, the reference {other_width}x{other_height}; bring both to one size"
        )
    if len(one) != len(two):
        raise UserError(f"the prediction has {len(one)} frames, the reference {len(two)}; give equal lengths")
    return one, two


def _array(clip: Any, name: str) -> np.ndarray:
    """A tensor on any device, or an array."""
    if hasattr(clip, "detach"):
        clip = clip.detach().cpu()
        clip = (clip.double() if clip.is_floating_point() else clip).numpy()
    if not isinstance(clip, np.ndarray) or not (clip.dtype == np.uint8 or clip.dtype.kind == "f"):
        got = clip.dtype if isinstance(clip, np.ndarray) else type(clip).__name__
        raise UserError(f"{name} is {got}; give a numpy array or torch tensor, uint8 or floats with their data_range")
    return clip


def _frames(clip: np.ndarray, name: str, layout: Layout | None) -> np.ndarray:
    """[T, H, W, 3] of any accepted shape."""
    last, first = clip.shape[-1:] == (3,), clip.ndim in (3, 4) and clip.shape[-3] == 3
    if clip.ndim not in (3, 4) or 0 in clip.shape or not (last or first) or (layout and not (last if layout == "HWC" else first)):
        raise UserError(f"{name} has the shape {list(clip.shape)}; give [T, H, W, 3] or [T, 3, H, W], at least one frame, RGB")
    if last and first and layout is None:
        raise UserError(f"{name} has the shape {list(clip.shape)}, where either axis may be colour; say layout='HWC' or 'CHW'")
    if layout == "CHW" or (layout is None and first):
        clip = np.moveaxis(clip, -3, -1)
    return clip[None] if clip.ndim == 3 else clip


def _values(clip: np.ndarray, name: str, data_range: float | None) -> np.ndarray:
    """uint8 as it is, floats as float64 in [0, 255]."""
    if clip.dtype == np.uint8:
        if data_range is not None and data_range != 255:
            raise UserError(f"{name} is uint8, whose range is 255, not {data_range:g}; convert it, or leave data_range out")
        return np.ascontiguousarray(clip)  # views may be mirrored
    low, high = float(clip.min()), float(clip.max())
    if data_range is None:
        raise UserError(f"{name} is {clip.dtype} from {low:.3g} to {high:.3g}; say data_range=1 or data_range=255, or give uint8")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{name} holds NaN or infinity; find out where it comes from")
    if low < 0 or high > data_range:
        raise UserError(
            f"{name} has values from {low:.3g} to {high:.3g} where data_range={data_range:g} means 0 to {data_range:g}; rescale or "
            "clip it yourself, so that it is known which"
        )
    if data_range == 255 and 0 < high <= 1:
        raise UserError(f"{name} has data_range=255 and values up to {high:.3g}: it looks like [0, 1]; say data_range=1")
    return np.ascontiguousarray(clip, dtype=np.float64) * (255 / data_range)
