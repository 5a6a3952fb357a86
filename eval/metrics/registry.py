"""Every metric: name, direction, range, definition, what it equals and what it needs.  Pure data, no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from d3talker.errors import UserError

Need = Literal["reference", "audio", "masks"]
REGION_TITLES = {"head": "head", "mouth": "mouth box", "torso": "torso"}


@dataclass(frozen=True)
class Metric:
    """One metric.  family: "module:Class" that computes it.  matches: the implementation whose values it equals."""

    id: str
    title: str
    unit: str
    higher_is_better: bool | None
    range: tuple[float | None, float | None]
    definition: str
    matches: str
    needs: tuple[Need, ...]
    family: str
    best: float | None = None  # the value that is best, where it lies inside the range: its distance is compared
    weights: str | None = None  # the file of `d3talker.weights` it cannot do without

    @property
    def arrow(self) -> str:
        """↑ where more is better, ↓ where less is, → and the value where that is best, nothing where neither."""
        if self.best is not None:
            return f"→ {self.best:g}"
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


def _regions(whole: Metric) -> list[Metric]:
    """The metric itself, and the same over head, mouth box and torso."""
    mouth: tuple[Need, ...] = ("reference",)  # its box comes from landmarks where no mask is given
    return [whole] + [
        replace(
            whole, id=f"{whole.id}_{region}", title=f"{whole.title} ({title})",
            definition=f"{whole.title} over the pixels of the {title}; frames in which it is empty do not count.",
            needs=mouth if region == "mouth" else ("reference", "masks"), matches="",
        )
        for region, title in REGION_TITLES.items()
    ]


def _lpips(net: str, title: str, weights: str) -> list[Metric]:
    return _regions(Metric(
        f"lpips_{net}", f"LPIPS ({title})", "", False, (0, None),
        f"Squared difference of unit {title} feature vectors, weighed over channels by LPIPS v0.1's linear layers, mean over "
        "positions, sum over layers; mean over frames.",
        f"lpips 0.1.4, net='{net}', on [0, 1] images with normalize=True", ("reference",),
        "eval.metrics.image:Perceptual", weights=weights,
    ))


def _lmd(backend: str, title: str) -> list[Metric]:
    whole = Metric(
        f"lmd_{backend}", f"LMD ({title})", "px at 512", False, (0, None),
        "Mean Euclidean distance of landmarks 48-67, each set about its own mean, scaled to 512 px frame height; mean "
        "over frames in which both sides show a face.",
        "InsTaG metrics.py:73-96" + ("" if backend == "fan" else " on dlib's landmarks"), ("reference",),
        "eval.metrics.face:Faces",
    )
    return [
        whole,
        replace(
            whole, id=f"{whole.id}_iod", title=f"LMD / eye distance ({title})", unit="", matches="",
            definition="LMD divided by the distance of the reference's outer eye corners; mean over frames.",
        ),
        replace(
            whole, id=f"{whole.id}_dtw", title=f"LMD, time-warped ({title})", matches="",
            definition="LMD per step along the cheapest monotonic path that stays within 5 frames of the diagonal.",
        ),
    ]


def _sync(mode: str, title: str, how: str, matches: str) -> list[Metric]:
    suffix = "" if mode == "frames" else f"_{mode}"
    family = {"frames": "eval.metrics.sync:FrameSync", "official": "eval.metrics.sync_official:OfficialSync"}[mode]
    distance = Metric(
        f"sync_d{suffix}", f"Sync-D{title}", "", False, (0, None),
        f"SyncNet v2: least mean distance of lip and sound embeddings over 31 shifts, {how}.", matches, ("audio",),
        family, weights="syncnet",
    )
    confidence = replace(
        distance, id=f"sync_c{suffix}", title=f"Sync-C{title}", higher_is_better=True,
        definition=f"SyncNet v2: median minus least mean distance of lip and sound embeddings over 31 shifts, {how}.",
    )
    return [confidence, distance]


_ALL = [
    *_regions(Metric(
        "psnr", "PSNR", "dB", True, (0, 100),
        "-10 log10 of the mean squared difference in [0, 1], per frame, at most 100 dB; mean over frames.",
        "InsTaG metrics.py:105-139 (uncapped there)", ("reference",), "eval.metrics.image:PSNR",
    )),
    *_regions(Metric(
        "ssim", "SSIM", "", True, (-1, 1),
        "(2 m m' + C1)(2 cov + C2) / ((m^2 + m'^2 + C1)(var + var' + C2)) of means, variances and covariance in a Gaussian 11x11 "
        "window of sigma 1.5, C1 = 0.01^2, C2 = 0.03^2, each of RGB, no border; mean over pixels and frames.",
        "scikit-image structural_similarity(gaussian_weights=True, use_sample_covariance=False)", ("reference",),
        "eval.metrics.image:SSIM",
    )),
    *_lpips("alex", "AlexNet", "alexnet"), *_lpips("vgg", "VGG-16", "vgg16"),
    *_lpips("squeeze", "SqueezeNet", "squeezenet"),
    *_lmd("dlib", "dlib"), *_lmd("fan", "FAN"),
    *_sync(
        "frames", "", "on faces cut from lossless frames along tracked landmarks",
        "SyncNetInstance.evaluate of joonson/syncnet_python, but for the face crop",
    ),
    *_sync(
        "official", " (official)", "through the official detection, tracking, cropping and re-encoding",
        "run_pipeline.py and run_syncnet.py of joonson/syncnet_python, by syncnet-python",
    ),
    Metric(
        "avc_r", "AV correlation above chance", "", None, (-2, 2),
        "Held-out correlation of lip measures with their ridge prediction from log-mel, at the best of 25 shifts, less its mean "
        "over the same clip with nine shuffled sounds. No direction: talkers driven by a linear model lie above real lips.", "",
        ("audio",), "eval.metrics.face:Faces",
    ),
    Metric(
        "avc_lag", "AV lag", "frames", None, (-12, 12),
        "The shift at which sound and lips correlate best; positive where the sound comes late for the picture.", "", ("audio",),
        "eval.metrics.face:Faces",
    ),
    Metric(
        "aperture_error", "Lip aperture error", "eye distances", False, (0, None),
        "Mean absolute difference of the inner lips' opening, in outer-eye distances.", "", ("reference",),
        "eval.metrics.face:Faces",
    ),
    Metric(
        "aperture_r", "Lip aperture correlation", "", True, (-1, 1),
        "Pearson correlation over frames of the inner lips' opening with the reference's.", "", ("reference",),
        "eval.metrics.face:Faces",
    ),
    Metric(
        "aperture_ratio", "Lip amplitude ratio", "", None, (0, None),
        "Standard deviation over frames of the inner lips' opening over that of the reference's; 1 = they move as far.", "",
        ("reference",), "eval.metrics.face:Faces",
    ),
    Metric(
        "closure_recall", "Lip closure recall", "", True, (0, 1),
        "Share of the reference's closed frames (inner lips' opening up to its 15th percentile) about which, within 2 frames, "
        "the opening comes down to the reference's 25th percentile.", "", ("reference",), "eval.metrics.face:Faces",
    ),
    Metric(
        "blink_f1", "Blink agreement", "", True, (0, 1),
        "2 matched / (predicted + reference blinks); a blink is a run of frames whose eye aspect ratio lies below 0.75 of the "
        "reference's median, matched where two come within 5 frames of each other.", "",
        ("reference",), "eval.metrics.face:Faces",
    ),
    Metric(
        "identity", "Identity similarity", "", True, (-1, 1),
        "Cosine of dlib's 128-number face descriptors of prediction and reference; mean over every 5th frame. One "
        "person's frames reach about 0.98, two people's about 0.84.",
        "dlib face_recognition_resnet_model_v1", ("reference",), "eval.metrics.identity:Identity",
    ),
    Metric(
        "flicker", "Flicker", "grey levels", False, (-255, 255),
        "Mean absolute change from frame to frame where the reference changes by at most 2 of 255 levels, minus the "
        "reference's own there; frozen frames lie below 0.", "", ("reference",), "eval.metrics.image:Flicker", best=0.0,
    ),
    Metric(
        "psnr_lagfree", "PSNR, lag-free", "dB", True, (0, 100),
        "Mean PSNR at the best constant shift of up to 5 frames, over the frames that have all shifts.", "",
        ("reference",), "eval.metrics.image:LagFree",
    ),
]
METRICS: dict[str, Metric] = {metric.id: metric for metric in _ALL}


def check_names(names: Iterable[str]) -> None:
    """Raises UserError that names the first unknown metric and lists the known ones."""
    for name in names:
        if name not in METRICS:
            raise UserError(f"there is no metric '{name}'; choose from {', '.join(METRICS)}")
