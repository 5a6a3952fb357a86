"""Contract tests of a method that is trained here: options, a few steps on a small synthetic person, killed, resumed, drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from d3talker.errors import MissingExtra, UserError
from d3talker.learning.contract import Method, Preset

if TYPE_CHECKING:
    import numpy as np

    from d3talker.learning.contract import Trained
    from d3talker.people.subject.layout import Subject

FRAMES, TEST, SEED = 30, 6, 5
PICKLED = {".pt", ".pth", ".pkl", ".pickle", ".npz", ".joblib"}
Fault = Callable[[str], Exception]


class Stopped(BaseException):
    """Stands for a kill: nothing catches it."""


def check_options(how: Method, fault: Fault) -> None:
    """Its presets are there, name a device, and can train."""
    if missing := [name for name in get_args(Preset) if name not in how.presets]:
        raise fault(f"it has no preset {', '.join(missing)}")
    for name, options in {**how.presets, "tiny": how.tiny()}.items():
        if getattr(options, "device", None) not in ("auto", "cpu", "cuda"):
            raise fault(f"the options of {name} have no device among auto, cpu and cuda")
        try:
            how.check(options)
        except UserError as error:
            raise fault(f"it refuses its own options {name}: {error}") from None
    if how.ablated(how.tiny(), "full") != how.tiny():
        raise fault("its row full is not the options as they are")


def check_training(how: Method, folder: Path, fault: Fault) -> str | None:
    """Train, kill, resume, load, drive, draw; returns why it was skipped, or None."""
    from d3talker.people.subject.layout import Subject

    try:
        people = [Subject(_person(folder / name, index)) for index, name in enumerate(("anna", "ben"))]
    except MissingExtra as missing:
        return str(missing)
    general = _pretrained(how, people, folder, fault) if how.pretrains else None
    alone = _trained(how, people[0], folder / "alone", None, fault)
    _draws(alone, people[0], fault)
    if general is not None:
        _trained(how, people[0], folder / "started", general, fault)
    return None


def _person(folder: Path, index: int) -> Path:
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(folder, seed=3, seconds=2.4, size=64, index=index)


def _pretrained(how: Method, people: list[Subject], folder: Path, fault: Fault) -> Path:
    _twice(lambda out: how.pretrain(how.tiny(), people, out, SEED), folder / "pretrained", "its pre-training", fault)
    return folder / "pretrained" / "whole"


def _trained(how: Method, subject: Subject, folder: Path, general: Path | None, fault: Fault) -> Trained:
    frames, test = subject.frames("train")[:FRAMES], subject.frames("val")[:TEST]

    def train(out: Path, seed: int = SEED) -> tuple[float, bool]:
        return how.train(how.tiny(), subject, frames, out, seed, general)

    _twice(train, folder, "its training", fault)
    try:
        train(folder / "whole", SEED + 1)
    except UserError:
        pass
    else:
        raise fault("it goes on with a training of another seed as if it were this one")
    first, second = (how.load(folder / name, device="cpu") for name in ("whole", "killed"))
    if _digest(_frames(first, subject, test)) != _digest(_frames(second, subject, test)):
        raise fault("a killed and resumed training draws other frames than one that ran through")
    return first


def _twice(train: Callable[[Path], tuple[float, bool]], folder: Path, what: str, fault: Fault) -> None:
    """Once whole, and once killed at every third of its steps; both must end alike."""
    with _counted() as steps:
        seconds, before = train(folder / "whole")
    if before or not seconds > 0:
        raise fault(f"{what} says that it took {seconds} s{' before' if before else ''}, when it had just begun")
    if train(folder / "whole") != (seconds, True):
        raise fault(f"{what}, finished, is not found finished when asked for again")
    for done in (steps[0] // 3, steps[0] // 3):
        with _killed_after(done):
            try:
                train(folder / "killed")
            except Stopped:
                continue
            break
    train(folder / "killed")
    if wrong := [path.name for path in folder.rglob("*") if path.suffix in PICKLED]:
        raise fault(f"{what} leaves {', '.join(wrong)}, which may hold pickled objects; use d3talker.checkpoint")
    if different := _different(folder / "whole", folder / "killed"):
        raise fault(f"{what}, killed and resumed, does not end in the same bits: {different}")


def _different(one: Path, other: Path) -> str | None:
    """The first tensor in which the checkpoints of two folders differ."""
    import torch
    from safetensors.torch import load_file

    for path in sorted(one.rglob("*.safetensors")):
        twin = other / path.relative_to(one)
        if not twin.exists():
            return f"{twin.name} is missing"
        a, b = load_file(path), load_file(twin)
        for name in a.keys() | b.keys():
            if name not in a or name not in b or not torch.equal(a[name], b[name]):
                return f"{path.name}: {name}"
    return None


@contextmanager
def _counted() -> Iterator[list[int]]:
    """How many steps the suite's own loop makes; 0 of a method that has another."""
    from d3talker.learning.loop import Loop

    count, step = [0], Loop._one_step

    def counted(self: Loop) -> str:
        count[0] += 1
        return step(self)

    with _replaced(Loop, _one_step=counted):
        yield count


@contextmanager
def _killed_after(steps: int) -> Iterator[None]:
    """Save after every step, and die right after the save that follows so many."""
    from d3talker.learning.loop import Loop

    left, save = [steps], Loop.save

    def saved(self: Loop, done: bool = False) -> None:
        save(self, done)
        left[0] -= 1
        if left[0] <= 0:
            raise Stopped

    with _replaced(Loop, save=saved, _save_due=lambda self: True):
        yield


@contextmanager
def _replaced(owner: Any, **methods: Any) -> Iterator[None]:
    kept = {name: getattr(owner, name) for name in methods}
    for name, method in methods.items():
        setattr(owner, name, method)
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(owner, name, method)


def _frames(trained: Trained, subject: Subject, test: Any) -> list[np.ndarray]:
    from d3talker.learning.rendering import back, camera

    signals = trained.drive(subject, test)
    views = [(camera(subject, frame, trained.device), back(subject, frame, trained.device)) for frame in test]
    return [trained.frame(signals, index, *view).cpu().numpy() for index, view in enumerate(views)]


def _draws(trained: Trained, subject: Subject, fault: Fault) -> None:
    """Frames of its own and of a foreign sound have their size and range, and its stages make them."""
    import numpy as np

    from d3talker.learning.rendering import back, camera, driven
    from d3talker.people.media.video import write_wav

    test = subject.frames("val")[:TEST]
    sound = subject.root.parent / "sound.wav"
    write_wav(sound, (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32))
    for shot in (driven(trained, subject, test, None), driven(trained, subject, test, sound)):
        for index in (0, len(shot.frames) - 1):
            view = camera(subject, shot.frames[index], trained.device), back(subject, shot.frames[index], trained.device)
            picture = trained.frame(shot.signals, index, *view).cpu().numpy()
            if picture.shape != (*subject.size, 3) or picture.dtype != np.float32:
                raise fault(f"a frame is {picture.dtype} {list(picture.shape)}, not float32 {[*subject.size, 3]}")
            if not (np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1):
                raise fault("a frame has values outside of 0 ... 1")
    if not trained.stages():
        raise fault("it names no stages, so that its speed cannot be measured")


def _digest(frames: list[np.ndarray]) -> list[bytes]:
    return [frame.tobytes() for frame in frames]
