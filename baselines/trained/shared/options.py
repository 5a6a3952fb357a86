"""Options of the two methods with a face and a mouth branch, TalkingGaussian and InsTaG; the defaults are TalkingGaussian's.

Moments are shares of a stage's steps, so that a short training keeps the proportions.  A comment behind a number names its source:
TG = Fictionarry/TalkingGaussian at 9bd34f7, IT = Fictionarry/InsTaG at 42f68f8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from d3talker.errors import UserError
from d3talker.graphics.options import DensityConfig, EncodingConfig, GaussianConfig

Features = Literal["auto", "deepspeech", "phonemes", "mel", "allphone", "hubert", "wav2vec2"]
Eyes = Literal["loop", "still", "video"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class NetConfig:
    """The networks that move the Gaussians, and how fast they learn."""

    encoding: EncodingConfig = field(default_factory=EncodingConfig)
    mouth_encoding: EncodingConfig = field(
        default_factory=lambda: EncodingConfig(base_resolution=64, desired_resolution=57.6)
    )
    width: int = 32  # TG motion_net.py:94
    """Width of the audio code."""
    window: int = 8  # TG utils/audio_utils.py:17-33: frames i-4 ... i+3
    """Frames of audio features that one code hears."""
    hidden: int = 64  # TG motion_net.py:133-144
    """Width of the face's decoder."""
    mouth_hidden: int = 32  # TG motion_net.py:279-283
    """Width of the mouth's decoder."""
    first_weights: Literal["torch", "he"] = "torch"  # TG, IT: torch's defaults
    """How the audio encoder starts: as torch draws its layers, each of which passes on 0.4 of its signal, or by He's rule, with
    which a few hundred steps wake it."""
    means_scale: float = 1e-2  # TG motion_net.py:201
    """What the decoder's shift is multiplied with to give metres."""
    grid_lr: float = 5e-3  # TG motion_net.py:220-222
    """Learning rate of the hash grids."""
    mlp_lr: float = 5e-4  # TG motion_net.py:219-231
    """Learning rate of all other layers but the audio attention's, which takes five times as much."""
    grid_decay: float = 0.01  # TG: AdamW's default, for the groups name none
    """Weight decay of the hash grids."""
    attention_decay: float = 1e-4  # TG motion_net.py:225
    """Weight decay of the audio attention; all other layers have none."""


@dataclass(frozen=True)
class CurriculumConfig:
    """Action-unit-guided sampling: which frames a step may draw.  Where no frame lies in the window, the nearest are drawn."""

    face_every: int = 15  # TG train_face.py:46-49
    """Every so many steps of the face draw from the window."""
    face_lips: float = 0.16  # TG train_face.py:96-103
    """Half width of its window of lip heights in the warm-up, in parts of their range."""
    face_blink: tuple[float, float] = (0.15, 0.3)  # TG train_face.py:106-112
    """How far below and above the share of steps the window of blinks reaches afterwards."""
    face_until: float = 0.8  # TG: 40,000 of 50,000
    """Share of steps at which the face's windows have moved from one end to the other."""
    mouth_every: int = 7  # TG train_mouth.py:45-47
    """Every so many steps of the mouth draw from the window, after a warm-up in which all do."""
    mouth_top: float = 0.95  # TG dataset_readers.py:119-122: AU25 is clipped at its 95th percentile
    """Quantile of the opening from which frames of the warm-up are drawn, and where the window begins."""
    mouth_until: float = 0.78  # TG: 39,000 of 50,000
    """Share of steps at which the mouth's window has opened down to the 25th percentile."""
    mouth_pixels: int = 20  # TG train_mouth.py:95, at 512 pixels
    """Frames that show less of the mouth are not drawn for it, where others are there; falls with the square of the size."""


@dataclass(frozen=True)
class HeadLossConfig:
    """Weights of the losses beside L1, which has 1."""

    dssim: float = 0.2  # TG arguments/__init__.py:87
    """1 - SSIM."""
    motion: float = 1e-5  # TG train_face.py:188-192
    """Mean absolute shift, rotation, opacity and scale that the face's net predicts, each."""
    alpha: float = 1e-3  # TG train_face.py:194, train_mouth.py:174-176
    """Opacity outside, transparency inside the face's mask, or the lips' box for the mouth."""
    lips_attention: float = 1e-4  # TG train_face.py:197-198
    """The eyes' attention in the lips' box."""
    hair_attention: float = 1e-4  # TG train_face.py:199-201
    """Both attentions on hair, where hair is shown."""
    lips_lpips: float = 0.01  # TG train_face.py:218-221
    """LPIPS of the lips' box, late in the face's stage."""
    face_lpips: float = 0.2  # TG train_face.py:223-227
    """LPIPS of patches with the lips' box painted out, late in the face's stage."""
    mouth_lpips: float = 0.5  # TG train_mouth.py:42-43
    """LPIPS of patches, late in the mouth's stage."""
    fuse_lpips: float = 0.5  # TG train_fuse.py:154-161
    """LPIPS of patches, late in the fuse stage."""


@dataclass(frozen=True)
class HeadSchedule:
    """Steps of the three stages, and the moments in them."""

    face: int = 50000  # TG arguments/__init__.py:77
    """Steps of the face."""
    mouth: int = 50000  # TG
    """Steps of the inside of the mouth."""
    fuse: int = 10000  # TG train_fuse.py:37
    """Steps on the whole composed frame."""
    static: float = 0.06  # TG train_face.py:41: 3,000 of 50,000
    """Share of a region's steps, at its start, in which nothing is deformed."""
    regular_from: float = 0.06  # TG train_face.py:188-201
    """Share of steps after which motion, alpha and attention have their losses."""
    face_bend: float = 0.8  # TG train_face.py:58: .5 ^ (it / 40,000) below 40,000, then .1 ^ (it / 50,000)
    """Share of the face's steps in which its nets' rates are halved; from then on they are on the way to a tenth."""
    mouth_bend: float = 0.78  # TG train_mouth.py:56
    """The same for the mouth."""
    mouth_end: float = 0.98  # TG train_mouth.py:56: the mouth's tenth is reached at 49,000
    """Share of the mouth's steps at which that tenth is reached."""
    means_horizon: float = 0.9  # TG arguments/__init__.py:78-81: a hundredth over 45,000 steps
    """In how many lengths of a stage the centres' rate falls to a hundredth, where it then stays."""
    hair: tuple[float, float] = (0.06, 0.92)  # TG train_face.py:148
    """Between these shares of the face's steps, hair is painted out on six of every seven."""
    face_lpips_from: float = 0.94  # TG: after 47,000
    """Share of the face's steps after which LPIPS joins."""
    closed_from: float = 0.94  # TG train_mouth.py:143-145
    """Share of the mouth's steps after which holes of its mask are closed."""
    mouth_lpips_from: float = 0.98  # TG train_mouth.py:42
    """Share of the mouth's steps after which LPIPS joins."""
    fuse_lpips_from: float = 0.5  # TG train_fuse.py:45
    """Share of the fuse stage's steps after which LPIPS joins."""
    colours_from: float = 0.98  # TG train_mouth.py:132-135
    """Share of the mouth's steps after which its colours alone learn, over black."""
    damp_from: float = 0.0  # TG train_mouth.py:230-233: with every change of number
    """Share of the mouth's steps after which Gaussians in the screen's green are pruned."""
    damp_green: tuple[int, int] = (20, 235)  # TG train_mouth.py:230
    """What counts as that green: red and blue below the first, green above the second, of 255."""
    sh_every: int = 1000  # TG train_face.py:87-88
    """Steps after which one more band of the spherical harmonics is drawn."""
    checkpoint_seconds: float = 20.0  # ours
    """Seconds of training between two checkpoints; more where saving would take over 2 % of the time."""


FACE_DENSITY = DensityConfig(stop=0.98, opacity_rise=0.25, size_from=3000, reset_every=1000000000)  # TG train_face.py:42, 264-265
MOUTH_DENSITY = DensityConfig(stop=0.9, opacity_rise=0.25, size_from=3000, reset_every=1000000000)  # TG arguments/__init__.py:93


@dataclass(frozen=True)
class HeadOptions:
    """A talking head of a face branch and a mouth branch."""

    gaussians: GaussianConfig = field(
        default_factory=lambda: GaussianConfig(mouth_points=10000, sh_degree=2, sh_rest_share=0.05)  # TG dataset_readers.py:278-284
    )
    density: DensityConfig = field(default_factory=lambda: FACE_DENSITY)
    mouth_density: DensityConfig = field(default_factory=lambda: MOUTH_DENSITY)
    nets: NetConfig = field(default_factory=NetConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    loss: HeadLossConfig = field(default_factory=HeadLossConfig)
    schedule: HeadSchedule = field(default_factory=HeadSchedule)
    features: Features = "auto"
    """Audio features; auto takes DeepSpeech's where the subject has them, else phonemes, else log-mel."""
    eyes: Eyes = "loop"
    """Eyes at test time: the training frames' in a loop, still, or the test video's own (as the official code does)."""
    device: Device = "auto"
    """Where to train and render."""


def check_head(options: HeadOptions) -> None:
    """Refuse options that cannot train, with both sides in the sentence.  Raises UserError."""
    g, s = options.gaussians, options.schedule
    if g.max_points < max(g.face_points, g.mouth_points):
        raise UserError(f"gaussians.max_points ({g.max_points}) is below the number of Gaussians at the start")
    if not 0 <= g.sh_degree <= 3:
        raise UserError(f"gaussians.sh_degree is {g.sh_degree}; give 0 to 3")
    if min(s.face, s.mouth) < 1 or s.fuse < 0:
        raise UserError(f"schedule.face ({s.face}) and schedule.mouth ({s.mouth}) must be at least 1, schedule.fuse ({s.fuse}) 0")
    if not 0 <= s.static < 1:
        raise UserError(f"schedule.static is {s.static}; give a share below 1, or nothing would ever move")
