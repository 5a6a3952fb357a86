"""Audio-to-motion for any speaker: it learns what speakers share, calibrates, resumes, finds lags, and refuses what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_motion import COLUMNS, JAW, NAMES, piece, small_model, speaker

from d3talker import checkpoint
from d3talker.cli import main
from d3talker.errors import MissingExtra, UserError
from d3talker.files import read_json, read_npy, write_json, write_npy
from d3talker.learning.motion import training as training_module
from d3talker.learning.motion.data import Speaker, load_speakers
from d3talker.learning.motion.network import _batch, runs_of
from d3talker.learning.motion.scores import by_budget, evaluate, score
from d3talker.learning.motion.training import MotionTraining, best_lag, corrected_lags, folds
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import write_wav
from d3talker.people.motion import hearing
from d3talker.people.motion.amplitude import aperture
from d3talker.people.motion.audio_to_motion import RidgeMotion
from d3talker.people.motion.lips import lip_basis, opening
from d3talker.people.motion.model import CHECKPOINT, MotionModel, motion_from_state
from d3talker.people.motion.options import SHIPPED, NetworkConfig, TrainingConfig, motion_model
from d3talker.people.motion.temporal import MotionNetwork, correlation
from d3talker.people.subject.layout import Frame, Subject, transforms

FACE = embedded_head()
QUICK = TrainingConfig(
    network=NetworkConfig(width=12, dilations=(1,), dropout=0.0), inputs=("mel",), components=2, steps=80, batch=8, window=40,
    learning_rate=1e-2, noise=0.1, shift=0.1, lags=False,
)


@pytest.fixture(scope="module")
def people() -> list[Speaker]:
    return [speaker(seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, people):
    out = tmp_path_factory.mktemp("motion")
    return (*MotionTraining(QUICK, people, out, 0).run(), out)


def test_unseen_speakers_lips_follow(trained):
    model, result, _ = trained
    assert result["mean"]["aperture_r"] > 0.7
    assert result["speakers"]["s2"]["aperture_r"] > 0.7 and result["by_language"]["en"]["speakers"] == 3
    other = evaluate(model, [speaker(9)])["s9"]
    assert other["aperture_r"] > 0.7 and other["closure_recall"] > 0.7
    assert other["lips_mm"] < score([np.zeros((300, len(NAMES))) + 1e-3 * piece(3).moves], [piece(9).expression])["lips_mm"]


def test_all_speakers_are_in_the_final_model_and_its_file_needs_no_pickle(trained):
    _, result, out = trained
    assert result["trained_on"] == ["s1", "s2", "s3"]
    model = MotionModel.load(out)
    assert model.speakers == ("s1", "s2", "s3") and model.clips == ("video1", "video2", "video3")
    assert model.knows("s1", {}) and model.knows("x", {"source": {"sha256": "video2"}}) and not model.knows("x", {})
    assert not (out / training_module.PARTS).exists()


def test_the_mean_is_the_speakers_own(trained):
    model, heard, mean = trained[0], speaker(4).heard, np.linspace(0, 1, len(NAMES))
    moved = model.predict(heard, mean) - model.predict(heard, np.zeros(len(NAMES)))
    np.testing.assert_allclose(moved, np.tile(mean, (300, 1)), atol=1e-5)
    np.testing.assert_allclose(model.predict(heard), model.predict(heard, model.lips.mean))


def test_calibration_on_few_noisy_frames_beats_the_model_alone(trained):
    model, one = trained[0], speaker(5, gain=0.3)
    truth, rows = one.pieces[0].expression, np.arange(60)
    noisy = truth[rows] + 0.05 * np.random.default_rng(0).normal(size=(60, len(NAMES))).astype(np.float32)
    calibrated = model.calibrate(one.heard, rows, noisy)
    found = {"calibrated": calibrated.predict(one.heard), "model": model.predict(one.heard, noisy.mean(0))}
    error = {name: np.square(moves - truth)[60:, JAW].mean() for name, moves in found.items()}
    assert error["calibrated"] < 0.7 * error["model"] and calibrated.gain > 1.2


def test_predictors_survive_a_checkpoint(trained, tmp_path):
    model, one = MotionModel.load(trained[2]), speaker(6, 120)
    calibrated = model.calibrate(one.heard, np.arange(80), one.pieces[0].expression[:80])
    checkpoint.save(tmp_path / "m.safetensors", {"motion": calibrated.state()})
    again = motion_from_state(checkpoint.load(tmp_path / "m.safetensors")["motion"])
    np.testing.assert_allclose(again.predict(one.heard), calibrated.predict(one.heard), atol=1e-6)
    with pytest.raises(UserError, match="earlier"):
        motion_from_state({name: value for name, value in calibrated.state().items() if name != "tuned"})
    ridge = RidgeMotion.fit({"mel": np.zeros((20, 2, 8))}, np.arange(20), np.zeros((20, 33)))
    assert isinstance(motion_from_state(ridge.state()), RidgeMotion)


def test_a_training_killed_at_any_network_ends_with_the_same_bits(people, tmp_path, monkeypatch):
    config = TrainingConfig(
        network=NetworkConfig(width=4, dilations=(1,)), inputs=("mel",), components=2, steps=3, batch=2, window=20, folds=0, seeds=2
    )
    whole, result = MotionTraining(config, people, tmp_path / "whole", 0).run()
    train, left = training_module.train_network, [0]

    def dies(*args):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return train(*args)

    monkeypatch.setattr(training_module, "train_network", dies)
    for count in (1, 3, 0, 4):
        left[0] = count
        with pytest.raises(KeyboardInterrupt):
            MotionTraining(config, people, tmp_path / "broken", 0).run()
    with pytest.raises(UserError, match="seed"):
        MotionTraining(config, people, tmp_path / "broken", 1).run()
    monkeypatch.setattr(training_module, "train_network", train)
    again, second = MotionTraining(config, people, tmp_path / "broken", 0).run()
    assert second == result
    assert (tmp_path / "whole" / CHECKPOINT).read_bytes() == (tmp_path / "broken" / CHECKPOINT).read_bytes()
    monkeypatch.setattr(training_module, "train_network", dies)
    assert MotionTraining(config, people, tmp_path / "broken", 0).run()[1] == result
    with pytest.raises(UserError, match="s3"):
        MotionTraining(config, people[:2], tmp_path / "broken", 0).run()


def test_one_speaker_alone_has_no_score_but_a_reason(tmp_path):
    _, result = MotionTraining(TrainingConfig(steps=1, inputs=("mel",), batch=2), [speaker(1)], tmp_path, 0).run()
    assert result["speakers"]["s1"]["aperture_r"] is None and "single speaker" in result["reason"]


def test_the_network_sees_as_far_as_its_dilations():
    """1 + 2 * (1 + 2 + 4) frames to each side, as the option's text says."""
    network = MotionNetwork(3, 2, NetworkConfig(width=4)).double().eval()
    torch.nn.init.normal_(network.outlet.weight)
    x = torch.zeros(1, 61, 3, dtype=torch.float64, requires_grad=True)
    network(x)[0, 30].sum().backward()
    seen = x.grad[0].abs().sum(1).nonzero()[:, 0]
    assert (seen.min().item(), seen.max().item()) == (15, 45)


def test_correlation_and_its_gradient_against_numpy():
    a, b = torch.randn(2, 3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(3, 50, dtype=torch.float64)
    weight[1, 30:] = 0
    found = correlation(10 * a, 10 * b, weight)
    expected = [np.corrcoef(a[k, :n], b[k, :n])[0, 1] for k, n in ((0, 50), (1, 30), (2, 50))]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: correlation(x, b, weight), (a,))


def test_no_window_crosses_a_seam():
    """Two clips of one speaker and a lost face: every window is a stretch of one run, however it was stretched."""
    first, second = piece(1, 90), piece(2, 70)
    first.seen[40] = False
    for part, level in ((first, 0.0), (second, 100.0)):
        part.heard["mel"][:] = level + np.arange(len(part.seen))[:, None, None] + 1
    one = Speaker("a", (first, second))
    model = small_model()
    runs = runs_of(one, ("mel",), model.ears, model.lips)
    assert runs.lengths.tolist() == [40, 49, 70]
    config = TrainingConfig(window=60, batch=64, noise=0.0, shift=0.0)
    x, _, there = _batch([runs], config, np.random.default_rng(0))
    steps = np.diff(x[..., 0].numpy(), axis=1)[(there[:, 1:] > 0).numpy()]
    unit = np.median(steps)
    assert unit > 0 and steps.max() < 1.3 * unit and steps.min() > 0.7 * unit
    assert (x[there == 0] == 0).all() and (there.sum(1) < 60).any()


@pytest.mark.parametrize("lag", [-3, 2, 5])
def test_a_lag_is_found_and_corrected(trained, lag):
    rng = np.random.default_rng(0)
    sound = np.convolve(rng.normal(size=500), np.ones(3), "same")
    seen = np.ones(400, bool)
    assert best_lag([(sound[50 - lag:450 - lag], sound[50:450], seen)])[0] == lag
    assert best_lag([(rng.normal(size=400), sound[50:450], seen)])[0] == 0
    late = Speaker("late", (piece(8).shifted(-lag),))
    assert late.pieces[0].lag == -lag and len(late.pieces[0].seen) == 300 - abs(lag)
    assert corrected_lags(trained[0], late).pieces[0].lag == 0
    assert corrected_lags(trained[0], speaker(8)).pieces[0].lag == 0


def test_folds_hold_every_speaker_once_and_are_even():
    found = folds([100, 90, 50, 40, 30, 10], 3)
    assert sorted(index for group in found for index in group) == list(range(6))
    assert max(sum([100, 90, 50, 40, 30, 10][i] for i in group) for group in found) <= 120
    assert folds([5, 6], 5) == [[0], [1]] and folds([1, 2, 3], 0) == [[0], [1], [2]]
    with pytest.raises(UserError, match="at least 2"):
        folds([1, 2, 3], 1)


def test_aperture_is_the_gap_between_the_inner_lips():
    expression = np.zeros((2, len(NAMES)))
    expression[1, JAW] = 1
    gaps = []
    for row in expression:
        points = FACE.vertices(np.zeros(len(FACE.identity_names)), row)[FACE.landmarks]
        gaps.append(1000 * np.mean([points[a, 1] - points[b, 1] for a, b in ((61, 67), (62, 66), (63, 65))]))
    np.testing.assert_allclose(aperture(expression, FACE), gaps, atol=1e-3)
    assert gaps[1] - gaps[0] > 10
    np.testing.assert_allclose(expression @ lip_basis(FACE) @ opening(), np.array(gaps) - gaps[0], atol=1e-3)


def test_score_of_the_truth_a_mirror_and_stillness():
    truth = piece(1).expression
    perfect = {"aperture_r": 1, "lips_mm": 0, "aperture_ratio": 1, "closure_recall": 1}
    assert score([truth + 0.1], [truth]) == pytest.approx(perfect, abs=1e-4)
    assert score([-truth], [truth])["aperture_r"] == pytest.approx(-1)
    assert score([-truth], [truth])["closure_recall"] < 0.7
    assert score([np.zeros_like(truth)], [truth])["aperture_r"] is None


def test_speech_content_absent_is_stood_in_for_by_log_mel(people, monkeypatch):
    both = small_model(inputs=("mel", "phonemes"))
    mel = small_model()
    model = MotionModel([*both.networks, *mel.networks], mel.config, both.ears, mel.lips, ())
    assert [inputs for inputs, _ in model.chosen(speaker(1, names=("mel", "phonemes")).heard)] == [("mel", "phonemes")]
    assert [inputs for inputs, _ in model.chosen(people[0].heard)] == [("mel",)]

    def absent():
        raise MissingExtra("hama", "speech-content", "phonemes features")

    monkeypatch.setattr(hearing.CONTENT["phonemes"], "check", absent)
    assert model.hears() == ("mel",)
    one = speaker(3, 60)
    calibrated = model.calibrate(one.heard, np.arange(40), one.pieces[0].expression[:40])
    assert calibrated.names == ("mel",)
    with pytest.raises(UserError, match="lacks mel"):
        calibrated.predict({"phonemes": np.zeros((3, 2, 43))})
    with pytest.raises(UserError, match="mel, phonemes"):
        model.chosen({"allphone": np.zeros((3, 2, 26))})


def test_foreign_expressions_are_refused(trained):
    with pytest.raises(UserError, match="33 expressions, the subject 64"):
        trained[0].calibrate(speaker(1).heard, np.arange(300), np.zeros((300, 64)))


def test_motion_options_name_models(tmp_path):
    assert motion_model("none") is None and motion_model("prior") == SHIPPED and motion_model("runs/x") == Path("runs/x")
    with pytest.raises(UserError, match="does not exist"):
        MotionModel.load(tmp_path / "none")


def test_the_prior_that_ships_hears_speech():
    """It is small, made for this head, and moves lips with sound; silence moves them less."""
    assert SHIPPED.stat().st_size <= 1 << 20
    model = MotionModel.load()
    assert len(model.lips.mean) == len(NAMES) and set(model.inputs) == set(COLUMNS)
    rng = np.random.default_rng(0)
    voiced = np.repeat(rng.uniform(0, 0.5, 40), 1600) * rng.normal(size=64000)
    heard = hearing.hear(voiced.clip(-1, 1), ["mel"])
    moves = model.predict(heard)
    assert moves.shape == (100, len(NAMES)) and aperture(moves, FACE).std() > 0.3


def folder(root: Path, seed: int, frames: int = 160, test: int = 40) -> Path:
    """A subject folder with what motion training reads; expression goes wild in the test part."""
    rng, rows = np.random.default_rng(seed), [Frame(i, i, np.eye(4)) for i in range(frames)]
    for split, part in (("train", rows[:-test]), ("val", rows[-test:])):
        write_json(root / f"transforms_{split}.json", transforms(1000.0, (64, 64), part))
    write_wav(root / "aud.wav", (0.1 * rng.normal(size=frames * 640)).astype(np.float32))
    expression = piece(seed, frames).expression
    expression[-test:] = -1e6
    write_npy(root / "motion" / "expression.npy", expression)
    write_npy(root / "aud_mel.npy", rng.normal(size=(frames, 16, 29)).astype(np.float32))
    return root


def test_command_trains_on_train_frames_alone_and_leaves_out_the_held_out(tmp_path, capsys):
    roots = [folder(tmp_path / name, seed) for seed, name in enumerate("abc")]
    assert np.abs(load_speakers(roots[:1], ["mel"])[0].moves).max() < 10
    args = ["--held-out", "b", "--out", str(tmp_path / "run"), "--training.steps", "2", "--training.batch", "2"]
    assert main(["motion", "train", "--subjects", *map(str, roots), *args, "--training.inputs", "mel"]) == 0
    scores = read_json(tmp_path / "run" / "scores.json")
    assert scores["trained_on"] == ["a", "c"] and set(scores["speakers"]) == {"a", "c"}
    assert "a: aperture_r" in capsys.readouterr().out
    assert MotionModel.load(tmp_path / "run").speakers == ("a", "c")
    assert main(["motion", "train", "--subjects", str(roots[0]), "--held-out", "nobody", "--out", str(tmp_path / "x")]) == 2
    assert "nobody" in capsys.readouterr().err
    score_it = ["motion", "score", str(roots[1]), "--motion", str(tmp_path / "run"), "--budgets", "0", "2", "20"]
    assert main([*score_it, "--out", str(tmp_path / "scores.json")]) == 0
    found = read_json(tmp_path / "scores.json")["b"]
    assert set(found) == {"0", "2", "20"} and found["20"]["aperture_r"] is None
    assert by_budget(None, Subject(roots[1]), (0, 2))["0"]["lips_mm"] is None


def test_command_imports_coefficients(tmp_path):
    root = folder(tmp_path / "a", 0)
    values = np.random.default_rng(0).normal(size=(1, 156, 64)).astype(np.float32)
    write_npy(tmp_path / "exp.npy", values)
    args = ["motion", "import", "--coefficients", str(tmp_path / "exp.npy"), "--subject", str(root)]
    assert main(args) == 0
    found = read_npy(root / "motion" / "real3d_expression.npy")
    np.testing.assert_array_equal(found, np.concatenate([values[0], np.repeat(values[0, -1:], 4, 0)]))
    assert read_json(root / "motion" / "real3d_expression.json")["source_frames"] == 156


@pytest.mark.parametrize(("shape", "value", "text"), [
    ((160, 33), 0.0, "64"), ((2, 160, 64), 0.0, "64"), ((100, 64), 0.0, "100 frames"), ((160, 64), np.nan, "NaN"),
])
def test_foreign_coefficients_are_refused(tmp_path, capsys, shape, value, text):
    root = folder(tmp_path / "a", 0)
    write_npy(tmp_path / "exp.npy", np.full(shape, value, np.float32))
    assert main(["motion", "import", "--coefficients", str(tmp_path / "exp.npy"), "--subject", str(root)]) == 2
    assert text in capsys.readouterr().err
    assert not (root / "motion" / "real3d_expression.npy").exists()
