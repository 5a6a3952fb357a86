"""Every option of the model and its training: frozen dataclasses that are the CLI and the Python API at once.

The defaults are the published schedule (preset `paper`); `mini` is the same model for 128x128 pixels on a CPU.  A comment behind a
number names its source; InsTaG values are those of its released few-shot code (commit 42f68f8).  Where neither the paper nor
InsTaG speaks, the comment says "ours".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from d3talker.errors import UserError
from d3talker.graphics.options import DensityConfig, EncodingConfig, GaussianConfig

PUBLISHED_STEPS = 10000  # InsTaG's of a face, which the rates below are for
MOST_HASTE = 3.0


@dataclass(frozen=True)
class FieldConfig:
    """General and Individual deformation fields (paper 3.3)."""

    encoding: EncodingConfig = field(default_factory=EncodingConfig)
    mouth_encoding: EncodingConfig = field(
        default_factory=lambda: EncodingConfig(base_resolution=64, desired_resolution=57.6)
    )
    general_hidden: int = 64  # InsTaG MotionNetwork
    """Width of the General Field's MLP, face; the mouth takes half."""
    individual_hidden: int = 32  # InsTaG PersonalizedMotionNetwork
    """Width of the Individual Field's MLP, face; the mouth takes half."""
    means_scale: float = 1e-2  # InsTaG
    """What the network's output is multiplied with to give a shift in metres."""
    general_grid_lr: float = 5e-3  # InsTaG
    """Learning rate of the General Field's grids."""
    general_mlp_lr: float = 5e-4  # InsTaG
    """Learning rate of the General Field's MLPs."""
    encoder_lr: float = 5e-4  # InsTaG
    """Learning rate of the signal encoders."""
    individual_grid_lr: float = 5e-3  # ours: InsTaG's 1e-3 is for an alignment head, here the whole field is learnt anew, so 1:1
    """Learning rate of the Individual Field's grids."""
    individual_mlp_lr: float = 5e-4  # ours: as above, InsTaG has 1e-4
    """Learning rate of the Individual Field's MLPs."""
    adapt_lr_scale: float = 0.1  # InsTaG train_face.py:55-56
    """The pre-trained General Field's learning rates are multiplied with this in adaptation."""


@dataclass(frozen=True)
class SignalConfig:
    """Audio-Motion dual-branch control signals (paper 3.2)."""

    features: Literal["auto", "deepspeech", "phonemes", "mel", "allphone", "hubert", "wav2vec2"] = "auto"
    """Audio features; auto takes DeepSpeech's where the subject has them, else phonemes, else log-mel."""
    width: int = 32  # paper: F_M and F_A are 1 x 32
    """Width of both signals."""
    pncc_size: int = 64  # ours: the paper gives H x W only
    """Side of the PNCC image in pixels."""
    pncc_gain: float = 20.0  # ours: differences are a few hundredths, too faint for layers with ordinary first weights
    """PNCC differences are multiplied with this."""
    pncc_channels: tuple[int, ...] = (16, 32, 32, 64)  # ours: "multi-layer convolution"
    """Channels of the difference encoder's stride-2 convolutions."""
    pncc_motion: Literal["lips", "all"] = "lips"  # ours: brows and lids have their own signal, the eyes'
    """What PNCC shows: lips, jaw and cheeks alone, or brows and lids, too."""
    neighbours: int = 4  # ours: the paper's j has no value; 2j+1 = 9 frames is near the audio window of 8
    """Frames before and after (j) that the TCN sees."""
    audio_window: int = 8  # RAD-NeRF, ER-NeRF, InsTaG: frames i-4 ... i+3
    """Frames of audio features that the temporal attention sees."""
    audio_noise: float = 0.3  # ours: a few seconds of sound are else learnt by heart
    """Noise on the standardised audio features in training, in standard deviations."""
    heard_share: float = 0.0  # ours; 1 is the paper's, whose motion always comes from sound
    """Share of adaptation's steps in which facial motion is as predicted from sound (by folds that never saw the frame), not as
    tracked: what it gets wrong is then there for the Individual Field to learn."""
    branch_dropout: float = 0.0  # ours: an idea against a branch that carries nothing
    """Probability that a step hears one of the two control signals alone, either with half of it."""
    motion_source: Literal["predicted", "imported", "tracked"] = "predicted"
    """Facial motion at test time: predicted from the sound, by Real3D-Portrait's model (`d3talker motion import`), or the
    oracle tracked in the test video."""
    amplitude: Literal["own", "predicted"] = "own"  # ours: a regression's motion is a third to two thirds of the speaker's
    """How far predicted lips move: to 0.7 of the speaker's own spread, and until they shut, or as far as predicted."""
    eyes: Literal["loop", "still", "video"] = "loop"
    """Eyes and brows at test time: the training frames' in a loop, still, or the test video's own (as the official codes do)."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses (eq. 12, 13)."""

    dssim: float = 0.2  # 3DGS, InsTaG
    """D-SSIM."""
    alpha: float = 1e-3  # InsTaG
    """Rendered opacity against the region's mask."""
    lips: float = 2.0  # ours, not in the paper; ER-NeRF and RAD-NeRF end with steps on the lips alone
    """The same L1 once more inside the mouth's box, where few pixels decide how well lips move."""
    mouth_pixels: int = 20  # InsTaG, TalkingGaussian: at 512x512
    """The inside of the mouth learns from frames that show so many of its pixels (of 512x512), where there are such frames."""
    hair_hidden: float = 0.0  # InsTaG: 6 of 7
    """Share of the face's steps, from 30 to 65 % of them, in which the hair is hidden, so that the face alone teaches."""
    deformation: float = 1e-5  # InsTaG
    """Mean absolute deformation, in the fields' own units."""
    similarity: float = 1e-2  # ours: the paper's lambda_SC has no value
    """Similarity contrastive loss L_SC (eq. 10), pre-training only."""
    negative: float = 1.0  # InsTaG
    """InsTaG's negative contrast loss L_C, pre-training only."""
    negative_units: Literal["metres", "network"] = "network"  # ours; in InsTaG's metres its gradient is 1e-7 of the image's
    """Units of the shifts whose product L_C is: metres, or the fields' own, hundredths of a metre."""
    others: Literal["learn", "still"] = "still"  # ours: the paper does not say
    """Whether L_SC pushes the other identities' fields away, too, or teaches identity k's own and the General Field alone."""
    temperature: float = 1.0  # ours: the paper's tau has no value; at 0.1 the loss and its gradient are gone within 100 steps
    """Temperature tau of L_SC."""
    normal: float = 0.01  # InsTaG, after half of the face's steps
    """Geometry loss on normals, adaptation only."""
    depth: float = 0.01  # InsTaG, after half of the face's steps
    """Geometry loss on depth, adaptation only."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Steps of adaptation (paper 3.5; numbers of InsTaG)."""

    face: int = 10000  # InsTaG
    """Steps of the face."""
    mouth: int = 10000  # InsTaG
    """Steps of the inside of the mouth."""
    fuse: int = 2000  # InsTaG
    """Steps on the whole composed frame."""
    warmup: int = 1000  # ours: TalkingGaussian has 3000 of 50000
    """First steps of a region, in which nothing is deformed; none after a pre-training, whose field is good from the start
    (InsTaG)."""
    checkpoint_seconds: float = 20.0  # ours
    """Seconds of training between two checkpoints; more where saving would take over 2 % of the time."""


@dataclass(frozen=True)
class RefinerConfig:
    """Coarse-to-Fine module (paper 3.4); layout and, where the paper is silent, numbers of GAGAvatar's StyleUNet renderer."""

    width: float = 1.0  # GAGAvatar's channels; the paper names StyleUNet and gives none
    """All channels are multiplied with this: 48 M parameters and 68 GMAC at 512 pixels for 1, fewer by its square."""
    perceptual: float = 0.01  # GAGAvatar's weight of its perceptual loss; the paper's lambda_p (eq. 11) has no value
    """Weight lambda_p of the AlexNet term."""
    learning_rate: float = 1e-4  # GAGAvatar
    """Learning rate; the style MLP takes a tenth."""
    batch: int = 8  # GAGAvatar
    """Coarse frames in one step."""
    steps: int = 2000  # ours: the length of InsTaG's fusing stage, in which the refiner is fine-tuned
    """Steps of fine-tuning on one subject."""


@dataclass(frozen=True)
class PretrainConfig:
    """Steps of pre-training (paper 3.5), over all identities together."""

    face: int = 150000  # InsTaG: 30000 for each of 5 identities
    """Steps of the faces."""
    mouth: int = 150000  # InsTaG
    """Steps of the insides of the mouths."""
    warmup: int = 5000  # InsTaG: 1000 for each of 5 identities
    """First steps of a region, in which nothing is deformed."""
    ema: float = 0.995  # InsTaG
    """Decay of the running mean of the shared parameters, which is what adaptation starts from."""
    frames: int = 0  # ours: 0 = the whole train split
    """At most this many frames of each identity."""


@dataclass(frozen=True)
class AblationConfig:
    """The switches of the paper's Table 4."""

    control: Literal["dual", "audio", "motion"] = "dual"
    """Which signal drives which field: facial motion the General and audio the Individual Field, or one signal both."""
    fields: Literal["both", "general", "individual"] = "both"
    """Which fields there are, in training and after; to drop one of a finished model, see leave_out."""
    attributes: Literal["mu", "mu_r_s", "all"] = "mu_r_s"
    """What the face's Individual Field deforms: centres; and rotation and scale; and opacity and colour (paper 4.4)."""
    contrast: Literal["both", "similarity", "negative", "none"] = "both"
    """Contrastive losses of pre-training: L_SC (eq. 10), InsTaG's L_C, or both (in Table 4 the full model differs from either)."""
    refiner: Literal["on", "off"] = "on"
    """Coarse-to-fine module (paper 3.4)."""
    leave_out: Literal["nothing", "refiner", "general", "individual"] = "nothing"
    """What the finished model renders without: its refiner, or a field's deformation. It changes no training."""
    rig: Literal["off", "on"] = "off"
    """Beyond the paper: Gaussians start on the fitted head and follow its expression, delta_rig + delta_G + delta_I."""


@dataclass(frozen=True)
class Config:
    """D³-Talker."""

    # Ours: the fitted head's mesh (as GaussianTalker's) for InsTaG's cube, which at 128 pixels costs 2.7 dB; 7e-4 for the official
    # 1.6e-4 (undecided: 33.5 dB against 32.7 and 33.4 with two seeds); no resets of opacity (as TalkingGaussian), from which a
    # mouth behind a finished face does not come back.  See docs/model.md.
    gaussians: GaussianConfig = field(default_factory=lambda: GaussianConfig(start="mesh", means_lr=7e-4))
    density: DensityConfig = field(default_factory=lambda: DensityConfig(reset_every=0))
    fields: FieldConfig = field(default_factory=FieldConfig)
    signals: SignalConfig = field(default_factory=SignalConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    refiner: RefinerConfig = field(default_factory=RefinerConfig)
    ablation: AblationConfig = field(default_factory=AblationConfig)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and render."""
    tensorboard: bool = False
    """Measure more while training (PSNR of a training frame behind the budget, how far each field moves the Gaussians) and write
    all scalars for TensorBoard into the run's folder tensorboard; the trained model stays the same to the bit."""

    @property
    def haste(self) -> float:
        """What every learning rate of fields and Gaussians is multiplied with: the square root of how much shorter the face's
        training is than the published one, 3 at most; 1 at the published length."""
        return min(max(PUBLISHED_STEPS / self.schedule.face, 1.0) ** 0.5, MOST_HASTE)


PAPER = Config()
# The same recipe for 128x128 pixels on a CPU: other counts, sizes and lengths; rates follow from the lengths (Config.haste).
MINI = replace(
    PAPER,
    gaussians=replace(PAPER.gaussians, face_points=4000, mouth_points=800, max_points=6000),
    density=replace(PAPER.density, start=300, every=100),
    schedule=replace(PAPER.schedule, face=1200, mouth=400, fuse=200, warmup=200),
    refiner=replace(PAPER.refiner, width=0.125, batch=2, steps=250, learning_rate=2e-4),
    pretrain=replace(PAPER.pretrain, face=4000, mouth=1200, warmup=1000, frames=500),
)
# The same model as preset mini, with half of its points and a third of its steps: ten minutes on two cores for all of it.
DEMO = replace(
    MINI,
    gaussians=replace(MINI.gaussians, face_points=2000, mouth_points=400, max_points=3000),
    schedule=replace(MINI.schedule, face=400, mouth=150, fuse=50, warmup=50),
    refiner=replace(MINI.refiner, steps=100),
    pretrain=replace(MINI.pretrain, face=500, mouth=200, warmup=100, frames=250),
)
PRESETS: dict[str, Config] = {"mini": MINI, "paper": PAPER}
Preset = Literal["mini", "paper"]


def preset_default(args: Sequence[str], default: Preset) -> tuple[Preset, Config]:
    """The preset that a command line names with --preset, or `default`, and its configuration; raises UserError for another."""
    name: str = default
    for index, arg in enumerate(args):
        flag, _, value = arg.partition("=")
        if flag == "--preset":
            name = value or (args[index + 1] if index + 1 < len(args) else "")
    if name not in PRESETS:
        raise UserError(f"there is no preset '{name}'; choose one of {', '.join(PRESETS)}")
    return cast(Preset, name), PRESETS[name]


def check(config: Config) -> None:
    """Refuse a configuration that cannot train, with both sides in the sentence.  Raises UserError."""
    s = config.schedule
    p = config.pretrain
    if min(p.face, p.mouth) <= p.warmup:
        raise UserError(f"pretrain.warmup ({p.warmup}) must be below pretrain.face ({p.face}) and pretrain.mouth ({p.mouth})")
    if min(s.face, s.mouth) <= s.warmup:
        raise UserError(f"schedule.warmup ({s.warmup}) must be below schedule.face ({s.face}) and schedule.mouth ({s.mouth})")
    if config.gaussians.max_points < max(config.gaussians.face_points, config.gaussians.mouth_points):
        raise UserError(f"gaussians.max_points ({config.gaussians.max_points}) is below the number of Gaussians at the start")
    if not 0 <= config.gaussians.sh_degree <= 3:
        raise UserError(f"gaussians.sh_degree is {config.gaussians.sh_degree}; give 0 to 3")
