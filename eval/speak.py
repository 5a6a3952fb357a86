"""`d3talker speak VIDEO --audio SOUND --out TALK.mp4`: prepare, learn and render in one line, each step kept for the next sound."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from baselines.choosing import preset_options
from baselines.registry import DEFAULT, trained_here
from d3talker.errors import UserError
from d3talker.people.media.video import FPS, probe
from d3talker.people.motion.options import PRIOR, motion_model
from d3talker.progress import Whole, say

SIZES = {"mini": 128, "paper": 512}
PREPARE_SECONDS = 0.07  # a frame at 128 px on two cores, as measured; larger pictures take longer
LAST_STAGE = 1.07  # what comes after the counted steps, in these
SHORTEST = 2.0  # seconds to learn from


@dataclass(frozen=True)
class SpeakConfig:
    """Make the person in a video say something else; run again with another sound, and only the rendering is done again."""

    video: Annotated[Path, tyro.conf.Positional]
    """Any video, with sound, of one person who speaks towards the camera and agreed to this; half a minute is plenty."""
    audio: Path
    """What is to be said: any file with sound."""
    out: Path
    """The video to write, .mp4; it is marked as synthetic."""
    work: Path | None = None
    """Folder for the subject and the trained head; by default speak/VIDEO, and what is there is used again."""
    method: str = DEFAULT
    """What learns the head: a method of `d3talker methods` that is trained here."""
    preset: Literal["auto", "mini", "paper"] = "auto"
    """mini: 128x128, minutes on a CPU. paper: 512x512, the published schedule, CUDA. auto: what fits this machine."""
    budget: float = 10
    """Seconds of the video to learn from, from its start; all of them where it has fewer."""
    general: Path | None = None
    """Folder of a finished pre-training; without it everything is learnt from this video."""
    motion: str = PRIOR
    """What predicts motion from sound, as for adapt."""
    start: Annotated[float, tyro.conf.arg(name="from")] = 0.0
    """Where the part of the video to use begins, in seconds."""
    stop: Annotated[float | None, tyro.conf.arg(name="to")] = None
    """Where it ends; by default at the video's end."""
    quality: Literal["draft", "good", "best"] = "good"
    """Of the video that is written."""
    seed: int = 0
    """Random seed."""


def run(config: SpeakConfig) -> int:
    """Write the video; returns 0.  Raises UserError before any work for what cannot be read and for a file that would be lost."""
    from d3talker.export.video import write_video
    from d3talker.learning.rendering import render
    from d3talker.people.media.predictions import Predictions
    from d3talker.people.preparation import prepare
    from d3talker.people.subject.layout import Subject

    (model, size), how = fitting(config.method, config.preset), trained_here(config.method)
    if config.general is not None and not how.pretrains:
        raise UserError(f"'{config.method}' starts from no pre-training; leave out --general")
    seconds = check(config)
    work = config.work or Path("speak") / config.video.stem
    subject_folder, run_folder = work / f"subject-{size}", work / f"{config.method}-{size}-{config.budget:g}s-seed{config.seed}"
    phases = expected(config, model, size, seconds, subject_folder, run_folder)
    announce(config, size, work, phases)
    with Whole(phases) as whole:
        with whole.phase():
            prepare.run(prepare.PrepareConfig(config.video, subject_folder, size, start=config.start, stop=config.stop))
        with whole.phase():
            subject = Subject(subject_folder)
            frames = subject.frames("train")[:round(config.budget * FPS)]
            if len(frames) < SHORTEST * FPS:
                raise UserError(f"{config.video} leaves {len(frames) / FPS:g} s to learn from; give a video of at least 4 s")
            motion = motion_model(config.motion) if how.hears_motion else None
            how.train(model, subject, frames, run_folder, config.seed, config.general, motion)
        with whole.phase(), tempfile.TemporaryDirectory(dir=work, prefix="frames-") as name:
            made = Path(name) / "frames"
            trained = how.load(run_folder, device=model.device)
            render(trained, config.method, subject, subject.frames("val"), config.audio, made, how.deviations)
            write_video(Predictions(made), config.out, config.quality, config.audio)
    say(f"{config.out}: {seconds:.1f} s at {size}x{size}, marked as synthetic in its metadata (d3talker inspect {config.out})")
    return 0


def fitting(method: str, preset: Literal["auto", "mini", "paper"]) -> tuple[Any, int]:
    """Options and picture size: the published schedule where torch sees a CUDA card, else the small one."""
    import torch

    name = preset if preset != "auto" else "paper" if torch.cuda.is_available() else "mini"
    if name == "paper" and not torch.cuda.is_available():
        say("warning: preset paper without a CUDA card takes days; --preset mini takes minutes")
    return preset_options(method, name), SIZES[name]


def check(config: SpeakConfig) -> float:
    """Seconds that the sound lasts.  Raises UserError for what cannot be read and for an output that is somebody's own file."""
    from d3talker.people.media.mark import read_mark
    from d3talker.people.media.soundtrack import sound_seconds

    for path in (config.video, config.audio):
        if not path.is_file():
            raise UserError(f"{path} does not exist or is not a file")
    if config.out.suffix.lower() != ".mp4":
        raise UserError(f"--out is {config.out}; give a name that ends with .mp4")
    same = config.out.exists() and any(config.out.samefile(path) for path in (config.video, config.audio))
    if same or (config.out.exists() and read_mark(config.out) is None):
        raise UserError(f"{config.out} exists and was not made by d3talker; give --out another name")
    if config.budget < SHORTEST:
        raise UserError(f"--budget is {config.budget:g}; give at least {SHORTEST:g} s")
    return sound_seconds(config.audio)


def expected(
    config: SpeakConfig, model: Any, size: int, seconds: float, subject: Path, run: Path
) -> list[tuple[str, float]]:
    """Each phase with about how long it takes; what is there already takes no time."""
    from d3talker.learning.contract import device_named
    from d3talker.people.subject.layout import Layout
    from eval.estimate import GUESSES, REFERENCE_PIXELS

    device = device_named(model.device).type
    guess, share = GUESSES[device], size * size / REFERENCE_PIXELS[device]
    length = (config.stop or probe(config.video).duration or 60.0) - config.start
    learn = trained_here(config.method).steps(model) * trained_here(config.method).pace * guess.step_s * share * LAST_STAGE
    looking = max(length, 0) * FPS * PREPARE_SECONDS * (size / 128) ** 0.5
    return [
        ("prepare the video", 0.0 if Layout(subject).meta.exists() else looking),
        ("learn the head", 0.0 if _learnt(run) else learn),
        ("speak", seconds * FPS * guess.render_s * share * 1.3),
    ]


def _learnt(run: Path) -> bool:
    """Whether a training stands there that came to its end."""
    from d3talker import checkpoint

    try:
        return any(checkpoint.load(path).get("done") for path in run.glob("*.safetensors"))
    except UserError:
        return False


def announce(config: SpeakConfig, size: int, work: Path, phases: list[tuple[str, float]]) -> None:
    """What to expect, before it starts."""
    from eval.estimate import duration

    told = "; ".join(f"{title}: {f'about {duration(took)}' if took else 'done before'}" for title, took in phases)
    total = sum(took for _, took in phases)
    say(f"{config.out} will be {size}x{size}, in about {duration(max(total, 1))} on this machine if nothing else runs ({told})")
    say(f"what is learnt stays in {work}; stopped at any moment, the same command goes on")
    if size == SIZES["mini"]:
        say("expect a small picture whose lips follow the sound in the main; head and torso move as in the video's last seconds")
    say("do this only with the consent of the person shown")
