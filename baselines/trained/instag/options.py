"""InsTaG's options: preset `paper` holds the official few-shot code's, `mini` the same method for 128 pixels on a CPU."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from baselines.trained.shared.options import (
    FACE_DENSITY,
    MOUTH_DENSITY,
    CurriculumConfig,
    HeadLossConfig,
    HeadOptions,
    HeadSchedule,
    check_head,
)
from d3talker.errors import UserError
from d3talker.graphics.options import DensityConfig, GaussianConfig
from d3talker.options import ALL, Options


@dataclass(frozen=True)
class PersonalConfig:
    """The personal network of each identity, and the Motion Aligner in it."""

    hidden: int = 32  # IT motion_net.py:564
    """Width of its decoder and aligner for the face."""
    mouth_hidden: int = 16  # IT motion_net.py:573-574
    """The same for the mouth."""
    grid_lr: float = 1e-3  # IT scene/gaussian_model.py:199
    """Learning rate of its hash grid."""
    mlp_lr: float = 1e-4  # IT motion_net.py:662-674
    """Learning rate of its layers; the audio attention takes five times, the aligner half as much."""
    aligned_from: float = 0.1  # IT train_face.py:161
    """Share of the adaptation's steps after which the aligner joins."""


@dataclass(frozen=True)
class HookConfig:
    """Face-Mouth Hook: the k-th largest and k-th smallest vertical shift of the face's Gaussians, and their difference."""

    low: int = 10  # IT train_mouth.py:172-176
    """Least rank k in adaptation."""
    high: int = 50  # IT train_mouth.py:172-176
    """Largest rank k in adaptation."""
    rank: int = 10  # IT gaussian_renderer/__init__.py:252
    """Rank k in pre-training, in the fuse stage and at test time."""


@dataclass(frozen=True)
class InsTaGLossConfig(HeadLossConfig):
    """Weights of InsTaG's losses beside L1, which has 1."""

    normal: float = 0.01  # IT train_face.py:198-199
    """Geometry loss on normals."""
    depth: float = 0.01  # IT train_face.py:200-206
    """Geometry loss on depth."""
    negative: float = 1.0  # IT pretrain_face.py:229
    """Negative contrast L_C between personal networks; in pre-training alone."""


@dataclass(frozen=True)
class InsTaGSchedule(HeadSchedule):
    """Steps of the three stages of adaptation, or of the two of pre-training, and the moments in them."""

    held: float = 0.3  # IT train_face.py:55-56
    """Share of the steps in which the universal nets learn slowly."""
    held_rate: float = 0.1  # IT train_face.py:55-56
    """What their rates are multiplied with until then."""
    geometry_from: float = 0.5  # IT train_face.py:198
    """Share of the face's steps after which depth and normals join."""


FEW_SHOT_LOSS = InsTaGLossConfig(lips_lpips=0.0, face_lpips=0.01, mouth_lpips=0.0, fuse_lpips=0.05)  # IT train_face.py:245-257
PRETRAINING_LOSS = replace(FEW_SHOT_LOSS, lips_attention=5e-3, face_lpips=0.0, fuse_lpips=0.0)  # IT pretrain_face.py:233-239


@dataclass(frozen=True)
class InsTaGPretraining:
    """Pre-training of the universal nets on several identities, one of them a step; the lengths are the official ones for five."""

    frames: int = 5001  # IT scene_pretrain/dataset_readers.py:258
    """At most this many frames of each identity; 0 = the whole train split."""
    ema: float = 0.995  # IT pretrain_face.py:61
    """Decay of the running mean of the universal nets, which is what adaptation starts from."""
    sh_degree: int = 2  # IT arguments/__init__.py:49
    """Degree of the spherical harmonics in pre-training."""
    density: DensityConfig = field(default_factory=lambda: replace(FACE_DENSITY, stop=0.9667))  # IT: (30,000 - 1,000) x 5
    mouth_density: DensityConfig = field(default_factory=lambda: replace(MOUTH_DENSITY, stop=0.9667))
    curriculum: CurriculumConfig = field(
        default_factory=lambda: CurriculumConfig(face_until=2 / 3, mouth_until=2 / 3)  # IT pretrain_face.py:43-51
    )
    loss: InsTaGLossConfig = field(default_factory=lambda: PRETRAINING_LOSS)
    schedule: InsTaGSchedule = field(
        default_factory=lambda: InsTaGSchedule(
            face=150000, mouth=150000, fuse=0, static=1 / 30, regular_from=1 / 30, face_bend=2 / 3, mouth_bend=2 / 3, mouth_end=1.0,
            means_horizon=0.3, hair=(1 / 30, 2.0), closed_from=2.0, colours_from=2.0, held=0.0,
        )
    )
    mouth_static: float = 0.1  # IT pretrain_mouth.py:43
    """Share of the mouth's steps, at its start, in which nothing is deformed and no further loss joins."""


@dataclass(frozen=True)
class InsTaGOptions(HeadOptions):
    """InsTaG, few-shot."""

    gaussians: GaussianConfig = field(
        default_factory=lambda: GaussianConfig(sh_degree=1, sh_rest_share=0.05)  # IT scripts/train_xx_few.sh:18-19
    )
    density: DensityConfig = field(  # IT train_face.py:288-299
        default_factory=lambda: replace(FACE_DENSITY, stop=0.9, reset_every=3000)
    )
    mouth_density: DensityConfig = field(default_factory=lambda: replace(MOUTH_DENSITY, stop=0.9, reset_every=3000))
    curriculum: CurriculumConfig = field(
        default_factory=lambda: CurriculumConfig(  # IT train_face.py:44-47, train_mouth.py:48-55
            face_every=10, face_lips=0.4, face_blink=(0.6, 0.4), face_until=1.0, mouth_every=5, mouth_top=0.75, mouth_until=1.0,
        )
    )
    loss: InsTaGLossConfig = field(default_factory=lambda: FEW_SHOT_LOSS)
    schedule: InsTaGSchedule = field(
        default_factory=lambda: InsTaGSchedule(
            face=10000, mouth=10000, fuse=2000, static=0.0, regular_from=0.3, means_horizon=4.5, hair=(0.3, 0.65),
            face_lpips_from=0.75, closed_from=2.0, colours_from=0.9, damp_from=0.2, damp_green=(100, 180),
        )
    )
    personal: PersonalConfig = field(default_factory=PersonalConfig)
    hook: HookConfig = field(default_factory=HookConfig)
    pretrain: InsTaGPretraining = field(default_factory=InsTaGPretraining)


PAPER = InsTaGOptions()
# Few Gaussians are large ones.  A hundred steps bring an opacity back from its reset, fifty do not.
_LESS = {"start": 100, "every": 100, "size_from": 360, "max_radius": 80.0}
MINI = replace(
    PAPER,
    gaussians=replace(
        PAPER.gaussians, start="mesh", face_points=4000, mouth_points=800, max_points=6000, means_lr=3.2e-3, sh_lr=1e-2,
        scale_lr=1e-2, quat_lr=4e-3,
    ),
    density=replace(PAPER.density, **_LESS, reset_every=400),  # type: ignore[arg-type]
    mouth_density=replace(PAPER.mouth_density, **_LESS, reset_every=200),  # type: ignore[arg-type]
    nets=replace(PAPER.nets, first_weights="he", grid_lr=2e-2, mlp_lr=4e-3),
    schedule=replace(PAPER.schedule, face=1200, mouth=400, fuse=200, sh_every=120),
    personal=replace(PAPER.personal, grid_lr=4e-3, mlp_lr=4e-4),
    hook=replace(PAPER.hook, low=3, high=15, rank=3),
    pretrain=replace(
        PAPER.pretrain, frames=500, sh_degree=1,
        density=replace(PAPER.pretrain.density, start=300, every=25, size_from=1000, max_radius=80.0),
        mouth_density=replace(PAPER.pretrain.mouth_density, start=200, every=25, size_from=600, max_radius=80.0),
        schedule=replace(PAPER.pretrain.schedule, face=4000, mouth=1200, sh_every=400),
    ),
)
PRESETS = {"mini": MINI, "paper": PAPER}
# Of adaptation: what pre-training has of its own in the section `pretrain`, or has no use for.
ADAPTATION: Options = {"schedule": ALL, "curriculum": ALL, "loss": ALL, "density": ALL, "mouth_density": ALL}


def check(options: InsTaGOptions) -> None:
    """Refuse options that cannot train, with both sides in the sentence.  Raises UserError."""
    check_head(options)
    if not 1 <= options.hook.low <= options.hook.high:
        raise UserError(f"hook.low ({options.hook.low}) must be at least 1 and not above hook.high ({options.hook.high})")
    schedule = options.pretrain.schedule
    if min(schedule.face, schedule.mouth) < 1:
        raise UserError(f"pretrain.schedule.face ({schedule.face}) and .mouth ({schedule.mouth}) must be at least 1")


def pretraining(options: InsTaGOptions) -> InsTaGOptions:
    """The options as the loop of pre-training reads them: its own schedule, losses, density and sampling in their places."""
    p = options.pretrain
    return replace(
        options, gaussians=replace(options.gaussians, sh_degree=p.sh_degree), density=p.density, mouth_density=p.mouth_density,
        curriculum=p.curriculum, loss=p.loss, schedule=p.schedule,
    )
