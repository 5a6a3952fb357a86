"""SyncNet against syncnet-python's own classes and python_speech_features, and its arithmetic on planted embeddings."""

from __future__ import annotations

import contextlib
import io
from itertools import islice
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from d3talker.errors import UserError
from d3talker.people.media.video import read_audio, read_frames, to_int16, write_wav
from d3talker.weights import MissingWeights
from eval.metrics.syncnet import (
    LipStream,
    SyncNet,
    count_windows,
    distances,
    load_syncnet,
    sound_embeddings,
    sync,
)

FRAMES = 40


def random_state(seed=0):
    """Seeded weights and batch statistics for both networks; embeddings come out about as long as real ones (10)."""
    rng = torch.Generator().manual_seed(seed)
    state = SyncNet().state_dict()
    for name, tensor in state.items():
        if name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(tensor.shape, generator=rng)
        elif tensor.dim() > 1:
            state[name] = torch.randn(tensor.shape, generator=rng) * (2 / tensor[0].numel()) ** 0.5
        elif tensor.dim() == 1:
            state[name] = 1 + 0.1 * torch.randn(tensor.shape, generator=rng)
    for name, factor in (("netcnnlip.0", 0.01), ("netcnnaud.0", 0.1), ("netfclip.3", 0.03), ("netfcaud.3", 0.03)):
        state[f"{name}.weight"] *= factor
        state[f"{name}.bias"] *= factor
    return state


@pytest.fixture(scope="module")
def clip(shared_data):
    path = shared_data / "clips" / "syncnet_example.avi"
    frames = [frame[..., ::-1].copy() for frame in islice(read_frames(path), FRAMES)]
    return frames, read_audio(path)[: FRAMES * 640 + 100]


def ours(network, frames, audio):
    stream = LipStream(network)
    for frame in frames:
        stream.push(frame)
    windows = count_windows(len(frames), len(audio))
    return stream.finish()[:windows], sound_embeddings(network, audio)[:windows]


@pytest.mark.shared
def test_features_and_scores_equal_the_official_classes(clip, tmp_path):
    package = pytest.importorskip("syncnet_python")
    frames, audio = clip
    state = random_state()
    network = SyncNet().eval()
    network.load_state_dict(state)
    official_network = package.SyncNetModel()
    official_network.load_state_dict(state)  # the names agree, too
    for number, frame in enumerate(frames):
        data = cv2.imencode(".png", frame)[1]  # the official code lists *.jpg, and OpenCV reads by content
        (tmp_path / f"{number:06d}.jpg").write_bytes(data.tobytes())
    write_wav(tmp_path / "audio.wav", audio)
    official = package.SyncNetInstance(official_network, device="cpu")
    seen = {}
    for side, name in (("lip", "forward_lip"), ("aud", "forward_aud")):
        forward = getattr(official_network, name)
        monitored = seen.setdefault(side, [])
        setattr(official_network, name, lambda x, f=forward, m=monitored: m.append(f(x)) or m[-1])
    with contextlib.redirect_stdout(io.StringIO()), torch.inference_mode():
        offset, confidence, minimum = official.evaluate(
            SimpleNamespace(tmp_dir=str(tmp_path), batch_size=20, vshift=15)
        )
    lips, sound = ours(network, frames, audio)
    assert lips.shape == (FRAMES - 5, 1024)
    for mine, theirs in ((lips, torch.cat(seen["lip"])), (sound, torch.cat(seen["aud"]))):
        assert 0.05 < theirs.std() < 1
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    from syncnet_python.SyncNetInstance import calc_pdist

    expected = torch.stack(calc_pdist(torch.cat(seen["lip"]), torch.cat(seen["aud"]), vshift=15)).numpy()
    matrix = distances(lips, sound)
    np.testing.assert_allclose(matrix, expected, atol=1e-4)
    found = sync(matrix)
    assert found.offset == offset
    assert found.confidence == pytest.approx(confidence, abs=1e-4)
    assert found.distance == pytest.approx(minimum, abs=1e-4)


@pytest.mark.shared
@pytest.mark.slow
def test_official_weights_give_the_published_numbers(shared_data):
    try:
        network = load_syncnet()
    except MissingWeights as error:
        pytest.skip(str(error))
    path = shared_data / "clips" / "syncnet_example.avi"
    frames = [frame[..., ::-1].copy() for frame in read_frames(path)]
    found = sync(distances(*ours(network, frames, read_audio(path))))
    assert found.offset == 3
    assert found.distance == pytest.approx(5.353, abs=0.1) and found.confidence == pytest.approx(10.021, abs=0.1)


def planted(lag, n=150, noise=0.3, seed=0):
    """Lip embeddings, and sound embeddings that equal them `lag` frames later, plus noise."""
    rng = np.random.default_rng(seed)
    lips = gaussian_filter1d(rng.normal(size=(n + 40, 64)), 1.0, axis=0)
    lips /= lips.std()
    sound = np.roll(lips, lag, axis=0) + noise * rng.normal(size=lips.shape)
    return torch.from_numpy(lips[20 : n + 20]).float(), torch.from_numpy(sound[20 : n + 20]).float()


@pytest.mark.parametrize("lag", [-15, -6, 0, 3, 14])
def test_shifting_the_sound_shifts_the_offset(lag):
    found = sync(distances(*planted(lag)))
    assert found.offset == -lag  # SyncNet counts how far the sound leads
    assert found.confidence > 1 and found.windows == 150
    for name, value in (("sync_c", found.confidence), ("sync_d", found.distance)):
        low, high = found.result(name, {}).interval
        assert low < value < high


def test_moving_the_sound_moves_its_embeddings():
    network = SyncNet().eval()
    network.load_state_dict(random_state(2))
    audio = np.random.default_rng(0).normal(0, 0.1, 30 * 640).astype(np.float32)
    whole, late = sound_embeddings(network, audio), sound_embeddings(network, audio[7 * 640 :])
    # the first row sees where the sound begins, the last ones where it ends
    torch.testing.assert_close(late[1:16], whole[8:23], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(late[1:16], whole[7:22], atol=1e-2)


def test_scores_by_hand():
    lips, sound = torch.zeros(4, 2), torch.tensor([[3.0, 4.0]] * 4)
    matrix = distances(lips, sound)
    assert matrix.shape == (4, 31)
    np.testing.assert_allclose(matrix[0, 15:19], 5, rtol=1e-5)  # shifts 0 to 3 stay inside the clip
    np.testing.assert_allclose(matrix[0, :15], 0, atol=1e-5)  # before it are zeros, at no distance from lips of zero
    found = sync(matrix)
    assert found.distance == pytest.approx(0, abs=1e-5) and found.confidence == pytest.approx(0, abs=1e-5)
    assert found.offset == 15 and found.result("sync_c", {}).interval is None
    curve = np.tile(np.arange(31.0) + 1, (10, 1))
    assert (sync(curve).distance, sync(curve).confidence) == (1, 15)


@pytest.mark.parametrize(
    ("frames", "samples", "windows"), [(300, 192000, 295), (300, 191999, 294), (6, 99999, 1), (5, 9999, 0)]
)
def test_window_count_is_the_official_one(frames, samples, windows):
    assert count_windows(frames, samples) == windows


def test_streaming_equals_one_batch():
    network = SyncNet().eval()
    network.load_state_dict(random_state(1))
    crops = np.random.default_rng(0).integers(0, 256, (27, 224, 224, 3), dtype=np.uint8)
    stream = LipStream(network)
    for crop in crops:
        stream.push(crop)
    embedded = stream.finish()
    assert embedded.shape == (23, 1024)
    with torch.inference_mode():
        last = network.lips(torch.from_numpy(crops[22:27]).permute(3, 0, 1, 2)[None].float())
    torch.testing.assert_close(embedded[-1:], last, rtol=1e-4, atol=1e-4)


def test_too_little_and_wrong_input_is_refused(tmp_path):
    with pytest.raises(UserError, match="six frames"):
        sync(np.empty((0, 31)))
    with pytest.raises(UserError, match="224x224"):
        LipStream(SyncNet()).push(np.zeros((128, 128, 3), np.uint8))
    assert LipStream(SyncNet()).finish().shape == (0, 1024)
    assert sound_embeddings(SyncNet(), np.zeros(1000, np.float32)).shape == (0, 1024)
    torch.save(random_state(), tmp_path / "syncnet_v2.model")
    with pytest.raises(UserError, match="sha256"):
        load_syncnet(tmp_path)


def test_int16_of_a_wav_survives_the_way_through_float(tmp_path):
    samples = np.random.default_rng(0).integers(-32767, 32768, 4000).astype(np.int16)
    write_wav(tmp_path / "a.wav", (samples / 32767).astype(np.float32))
    assert np.abs(to_int16(read_audio(tmp_path / "a.wav")).astype(int) - samples).max() <= 1
