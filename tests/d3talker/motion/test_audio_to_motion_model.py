"""Audio-to-motion for any speaker: it learns what speakers share, calibrates, resumes, and refuses what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.files import read_json, read_npy, write_json, write_npy
from d3talker.motion.audio_to_motion import RidgeMotion
from d3talker.motion.head import embedded_head
from d3talker.motion.model import CalibratedMotion, MotionModel, fit_motion, motion_from_state
from d3talker.motion.options import NetworkConfig, TrainingConfig
from d3talker.motion.temporal import MotionNetwork
from d3talker.subject.layout import Frame, transforms
from d3talker.training.motion import MotionTraining, Speaker, aperture, divide, evaluate, load_speaker, score

FACE = embedded_head()
NAMES = FACE.expression_names
JAW = NAMES.index("jaw_open")
QUICK = TrainingConfig(
    network=NetworkConfig(width=8, dilations=(1,)), steps=60, batch=8, window=40, learning_rate=5e-3, noise=0.1,
    shift=0.1,
)


def speaker(seed: int, frames: int = 300, columns: int = 6) -> Speaker:
    """Features that are smooth noise; the jaw follows the first column a frame late, about the speaker's own mean."""
    rng = np.random.default_rng(seed)
    steps = np.apply_along_axis(np.convolve, 0, rng.normal(size=(2 * frames + 15, columns)), np.ones(4) / 2, "same")
    features = steps[np.arange(frames)[:, None] * 2 + np.arange(16)].astype(np.float32)
    expression = np.tile(rng.uniform(0.1, 0.4, len(NAMES)), (frames, 1))
    expression[1:, JAW] += 0.1 * features[:-1, 8, 0]
    return Speaker(f"s{seed}", features, expression.astype(np.float32))


def training(out: Path, config: TrainingConfig = QUICK, seed: int = 0) -> MotionTraining:
    return MotionTraining(config, [speaker(1), speaker(2)], "mel", out, seed)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> MotionModel:
    return training(tmp_path_factory.mktemp("motion")).run()


def test_an_unseen_speakers_lips_follow(model):
    scores = evaluate(model, [speaker(3)])["s3"]
    assert scores["aperture_r"] > 0.8
    unseen = speaker(3)
    still = score(np.repeat(unseen.expression.mean(0)[None], 300, 0), unseen.expression)
    assert scores["aperture_mm"] < 0.7 * still["aperture_mm"] and scores["lips_mm"] < 0.7 * still["lips_mm"]


def test_the_mean_is_the_speakers_own(model):
    features, mean = speaker(4).features, np.linspace(0, 1, len(NAMES))
    moved = model.predict(features, mean) - model.predict(features, np.zeros(len(NAMES)))
    np.testing.assert_allclose(moved, np.tile(mean, (300, 1)), atol=1e-5)


def test_calibration_on_few_noisy_frames_beats_the_model_alone_and_the_frames_alone(model):
    one = speaker(5)
    livelier = one.expression.copy()  # than the speakers of the training
    livelier[:, JAW] += 0.5 * (one.expression[:, JAW] - one.expression[:, JAW].mean())
    few = slice(0, 50)
    noisy = livelier[few] + 0.1 * np.random.default_rng(0).normal(size=(50, len(NAMES))).astype(np.float32)
    calibrated, ridge = model.calibrate(one.features[few], noisy), RidgeMotion.fit(one.features[few], noisy)
    found = {
        "calibrated": calibrated.predict(one.features), "frames": ridge.predict(one.features),
        "model": model.predict(one.features, noisy.mean(0)),
    }
    error = {name: np.square(rows - livelier)[50:, JAW].mean() for name, rows in found.items()}
    assert error["calibrated"] < min(error["frames"], error["model"])


def test_predictors_survive_a_checkpoint(model, tmp_path):
    from d3talker import checkpoint

    one = speaker(6, 120)
    for predictor in (model.calibrate(one.features, one.expression), RidgeMotion.fit(one.features, one.expression)):
        checkpoint.save(tmp_path / "m.safetensors", {"motion": predictor.state()})
        again = motion_from_state(checkpoint.load(tmp_path / "m.safetensors")["motion"])
        assert type(again) is type(predictor)
        np.testing.assert_array_equal(again.predict(one.features), predictor.predict(one.features))
    assert isinstance(motion_from_state(model.calibrate(one.features, one.expression).state()), CalibratedMotion)


def test_an_interrupted_training_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path):
    config = TrainingConfig(network=QUICK.network, steps=6, batch=2, window=20, save_every=3)
    whole = training(tmp_path / "whole", config).run()
    broken = training(tmp_path / "broken", config)
    while broken.step < 4:
        broken._train_step()
        if broken.step == 3:
            broken._save()
    resumed = training(tmp_path / "broken", config).run()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    loaded = MotionModel.load(tmp_path / "broken")
    features = speaker(3).features
    np.testing.assert_array_equal(loaded.predict(features, np.zeros(33)), whole.predict(features, np.zeros(33)))
    with pytest.raises(UserError, match="other options"):
        training(tmp_path / "broken", QUICK).run()


def test_the_network_sees_as_far_as_its_dilations():
    """1 + 2 * (1 + 2 + 4) frames to each side, as the docstring says."""
    network = MotionNetwork(3, 2, 1, NetworkConfig(width=4)).double().eval()
    torch.nn.init.normal_(network.outlet.weight)
    x = torch.zeros(1, 61, 16, 3, dtype=torch.float64, requires_grad=True)
    network(x)[0, 30].sum().backward()
    seen = x.grad[0].abs().sum((1, 2)).nonzero()[:, 0]
    assert (seen.min().item(), seen.max().item()) == (15, 45)
    assert x.grad[0, 30].abs().sum(-1).nonzero()[:, 0].tolist() == [8, 9]


def test_aperture_is_the_gap_between_the_inner_lips():
    expression = np.zeros((2, len(NAMES)))
    expression[1, JAW] = 1
    gaps = []
    for row in expression:
        points = FACE.vertices(np.zeros(len(FACE.identity_names)), row)[FACE.landmarks]
        gaps.append(1000 * np.mean([points[a, 1] - points[b, 1] for a, b in ((61, 67), (62, 66), (63, 65))]))
    np.testing.assert_allclose(aperture(expression, FACE), gaps, atol=1e-3)
    assert gaps[1] - gaps[0] > 10


def test_score_of_the_truth_a_shift_and_a_mirror():
    truth = speaker(1).expression
    assert score(truth + 0.1, truth) == pytest.approx({"aperture_r": 1, "aperture_mm": 0, "lips_mm": 0}, abs=1e-4)
    assert score(-truth, truth)["aperture_r"] == pytest.approx(-1)
    assert score(np.zeros_like(truth), truth)["aperture_r"] is None


def test_speakers_are_divided_without_overlap():
    a, b, c = speaker(1), speaker(2), speaker(3)
    assert [[s.name for s in part] for part in divide([a, b, c], [])] == [["s1", "s2"], ["s3"]]
    assert [[s.name for s in part] for part in divide([a, b, c], ["s1"])] == [["s2", "s3"], ["s1"]]
    (train,), (held,) = divide([a], [])
    assert len(train.features) + len(held.features) == 300 and len(held.features) == 50
    np.testing.assert_array_equal(held.features, a.features[200:250])
    for held_out, text in ((["x"], "none of the subjects"), (["s1", "s2"], "leave one")):
        with pytest.raises(UserError, match=text):
            divide([a, b], held_out)
    with pytest.raises(UserError, match="same name"):
        divide([a, a], [])


def test_fit_motion_takes_the_run_where_there_is_one(model, tmp_path):
    from d3talker import checkpoint

    one = speaker(7, 120)
    checkpoint.save(tmp_path / "motion.safetensors", model.state())
    found = fit_motion(tmp_path, "mel", one.features, one.expression)
    np.testing.assert_array_equal(
        found.predict(one.features), model.calibrate(one.features, one.expression).predict(one.features)
    )
    assert isinstance(fit_motion(None, "mel", one.features, one.expression), RidgeMotion)
    with pytest.raises(UserError, match="hears mel features, the subject has deepspeech"):
        fit_motion(tmp_path, "deepspeech", one.features, one.expression)
    with pytest.raises(UserError, match="does not exist"):
        fit_motion(tmp_path / "none", "mel", one.features, one.expression)


def test_foreign_features_and_expressions_are_refused(model):
    with pytest.raises(UserError, match="mel features"):
        model.predict(np.zeros((5, 16, 7), np.float32), np.zeros(33))
    with pytest.raises(UserError, match="33 expressions, the subject 64"):
        model.calibrate(speaker(1).features, np.zeros((300, 64)))


def folder(root: Path, seed: int, frames: int = 160, test: int = 40) -> Path:
    """A subject folder with what motion training reads; features and expression go wild in the test part."""
    one = speaker(seed, frames, 29)
    rows = [Frame(i, i, np.eye(4)) for i in range(frames)]
    for split, part in (("train", rows[:-test]), ("val", rows[-test:])):
        write_json(root / f"transforms_{split}.json", transforms(1000.0, (64, 64), part))
    one.features[-test:], one.expression[-test:] = 1e6, -1e6
    write_npy(root / "aud_mel.npy", one.features)
    write_npy(root / "motion" / "expression.npy", one.expression)
    return root


def test_command_trains_on_train_frames_alone_and_scores_the_held_out(tmp_path, capsys):
    roots = [str(folder(tmp_path / name, seed)) for seed, name in enumerate("abc")]
    assert np.abs(load_speaker(Path(roots[0]), "mel").features).max() < 100
    args = ["--held-out", "b", "--out", str(tmp_path / "run"), "--training.steps", "3", "--training.batch", "2"]
    assert main(["motion", "train", "--subjects", *roots, *args]) == 0
    scores = read_json(tmp_path / "run" / "scores.json")
    assert scores["trained_on"] == ["a", "c"] and set(scores["held_out"]) == {"b"}
    assert "b (held out): aperture_r" in capsys.readouterr().out
    assert MotionModel.load(tmp_path / "run").speakers == ("a", "c")


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
