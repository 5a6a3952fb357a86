"""The lag that a prior finds: sign, size, confidence, chance, and what preparation makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import read_audio
from d3talker.people.motion import lag as lags
from d3talker.people.motion.lag import Lag, _block_sums, _correlations, find_lag, lag_of
from d3talker.people.motion.model import MotionModel
from d3talker.people.preparation.prepare import _say
from d3talker.people.preparation.stages import Stages
from d3talker.people.preparation.tracking import fit_track

TOTAL = 75


def lips(seed: int, frames: int = 250) -> np.ndarray:
    """An opening that moves as fast as speech does."""
    return gaussian_filter1d(np.random.default_rng(seed).normal(size=frames), 1.5)


def heard(opening: np.ndarray, lag: int, r: float, seed: int = 99) -> np.ndarray:
    """What a prior with correlation `r` predicts from sound that comes `lag` frames late, in other units."""
    noise = lips(seed, len(opening)) * opening.std() / lips(seed, len(opening)).std()
    return 3 + 40 * np.roll(r * opening + np.sqrt(1 - r * r) * noise, lag)


@pytest.mark.parametrize("lag", [-7, -2, 3, 5])
def test_an_imposed_lag_is_found_and_sure(lag: int) -> None:
    seen = lips(1)
    found = lag_of(heard(seen, lag, 0.6), seen)
    assert found.lag == lag and found.sure and found.confidence is not None and found.confidence > 0.95
    assert found.r == pytest.approx(0.6, abs=0.15) and found.r_at_0 < 0.45 and found.heard_with == "prior"


def test_sound_in_time_stays_and_a_gain_too_small_is_none() -> None:
    seen = lips(2)
    assert lag_of(heard(seen, 0, 0.6), seen).lag == 0
    slow = gaussian_filter1d(seen, 12)  # a frame hardly matters
    assert lag_of(heard(slow, 1, 0.9), slow).lag == 0


def test_chance_is_not_corrected() -> None:
    sure = [lag_of(lips(1000 + seed), lips(seed)) for seed in range(60)]
    assert sum(found.sure and found.lag != 0 for found in sure) <= 1


def test_frames_without_a_face_count_nowhere() -> None:
    seen = lips(3)
    predicted = heard(seen, 4, 0.7)
    with_holes = seen.copy()
    with_holes[50:90] = np.nan
    assert lag_of(predicted, with_holes).lag == 4
    wild = predicted.copy()
    wild[66:78] += 1e6  # what every shift of an unseen frame reads, and no seen frame's
    assert lag_of(wild, with_holes).r == pytest.approx(lag_of(predicted, with_holes).r)
    with pytest.raises(UserError, match="75 frames with a face"):
        lag_of(predicted[:98], seen[:98])


def test_sums_give_pearsons_correlation() -> None:
    x, y = np.random.default_rng(0).normal(size=(90, 3)), np.random.default_rng(1).normal(size=90)
    expected = [np.corrcoef(column, y)[0, 1] for column in x.T]
    np.testing.assert_allclose(_correlations(_block_sums(x, y, np.arange(90) // 25).sum(0)), expected, atol=1e-12)
    assert (_correlations(_block_sums(np.ones((90, 2)), y, np.arange(90) // 25).sum(0)) == 0).all()


class Toy:
    """A prior that hears loudness."""

    def aperture(self, audio: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(audio[:len(audio) // 640 * 640]).reshape(-1, 640).mean(1))


def spoken(seen: np.ndarray, lag: int) -> np.ndarray:
    """Sound as loud as the lips are open, `lag` frames late."""
    loud = np.repeat(np.roll(seen - seen.min(), lag), 640)
    return (0.3 * loud / loud.max() * np.random.default_rng(0).choice([-1, 1], len(loud))).astype(np.float32)


def test_the_prior_is_asked_and_own_frames_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = lips(4, 300)
    measures = np.stack([seen, *np.random.default_rng(0).normal(size=(3, 300))], 1)
    monkeypatch.setattr(MotionModel, "load", lambda: Toy())
    found = find_lag(spoken(seen, 3), measures)
    assert (found.lag, found.sure, found.heard_with) == (3, True, "prior")

    def absent() -> MotionModel:
        raise UserError("no prior")

    monkeypatch.setattr(MotionModel, "load", absent)
    found = find_lag(spoken(seen, 3), np.stack([seen] * 4, 1))
    assert found.heard_with == "own frames" and found.confidence is None and abs(found.lag - 3) <= 1 and found.sure


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic person's folder, its video in it."""
    pytest.importorskip("espeakng_loader", reason="synthetic people need espeak-ng; install the extra 'synth'")
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(tmp_path_factory.mktemp("talker") / "anna", seed=1, seconds=TOTAL / 25, size=64)


def stages(talker: Path, out: Path, found: Lag, monkeypatch: pytest.MonkeyPatch, keep: bool = False) -> Stages:
    """Preparation up to the sound, with the landmarks known and a lag as given."""
    made = Stages(talker / "anna.mp4", out, 64, keep_lag=keep)
    made.work.mkdir(parents=True)
    np.savez(made.work / "scan.npz", points=np.load(talker / "truth" / "landmarks.npy"), shape=(64, 64))
    asked: list[int] = []
    monkeypatch.setattr(lags, "find_lag", lambda audio, lips: asked.append(len(lips)) or found)
    made.sound()
    assert asked == [TOTAL - 7]  # the test frames' lips have no say
    return made


@pytest.mark.parametrize(("lag", "frames"), [(3, (0, 72)), (-2, (2, 75)), (0, (0, 75))])
def test_correcting_shifts_the_sound_and_leaves_out_frames_without(
    talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: int, frames: tuple[int, int]
) -> None:
    made = stages(talker, tmp_path / "out", Lag(lag, 0.6, 0.2, 0.99, True, "prior"), monkeypatch)
    before, after = read_audio(talker / "anna.mp4"), read_audio(made.layout.audio)
    assert len(after) == TOTAL * 640 and made.sounding == range(*frames)
    i = 30  # frame 30 now has the sound that frame 30 + lag had
    np.testing.assert_allclose(after[i * 640:(i + 1) * 640], before[(i + lag) * 640:(i + lag + 1) * 640], atol=1e-4)
    kept = read_json(made.work / "lag.json")
    assert kept["corrected"] == lag and kept["confidence"] == 0.99 and kept["frames"] == list(frames)


@pytest.mark.parametrize(("sure", "keep"), [(False, False), (True, True)])
def test_a_doubtful_lag_and_one_to_keep_stay(
    talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sure: bool, keep: bool
) -> None:
    made = stages(talker, tmp_path / "out", Lag(4, 0.6, 0.2, 0.5, sure, "prior"), monkeypatch, keep)
    np.testing.assert_allclose(read_audio(made.layout.audio), read_audio(talker / "anna.mp4")[:TOTAL * 640], atol=1e-4)
    assert read_json(made.work / "lag.json")["corrected"] == 0 and made.sounding == range(TOTAL)


def test_the_split_counts_frames_that_sound(talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stages(talker, tmp_path / "out", Lag(5, 0.6, 0.2, 0.99, True, "prior"), monkeypatch)
    monkeypatch.setattr(Stages, "_fit", lambda self: fit_track(self.scan.points * 256 / 64, embedded_head(), steps=3))
    made.tracking()
    train, test = (read_json(made.layout.transforms(split))["frames"] for split in ("train", "val"))
    assert [row["img_id"] for row in train + test] == list(range(TOTAL - 5)) and len(test) == 7
    assert all(row["img_id"] == row["aud_id"] for row in train + test)


@pytest.mark.parametrize(("sound", "words"), [
    ({"lag": 5, "r": 0.58, "r_at_0": 0.2, "confidence": 0.97, "sure": True, "corrected": 5, "frames": [0, 95]},
     ("lag +5 frames (r 0.58, 0.20 at 0, confidence 0.97)", "shifted by -5 frames", "5 frames that have no sound", "--keep-lag")),
    ({"lag": -3, "r": 0.4, "r_at_0": 0.1, "confidence": 0.95, "sure": True, "corrected": 0, "frames": [0, 100]},
     ("the sound is 3 frames early, and was left so",)),
    ({"lag": 0, "r": 0.2, "r_at_0": 0.2, "confidence": 0.4, "sure": False, "corrected": 0, "frames": [0, 100]}, ("not to be trusted",)),
])
def test_the_screen_says_it(sound: dict, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    _say(Path("x"), {"frames": 100, "lost_frames": [], "reprojection_px_at_512": 1.0, "test_rule": "the last 9", "sound": sound,
                     "features": ["mel", "phonemes"], "notes": []})
    said = "".join(capsys.readouterr())
    assert all(word in said for word in words), said
