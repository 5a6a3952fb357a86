"""Audio features: windows, DeepSpeech's front end, graph reader and network, and transformers' models."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from d3talker.errors import UserError
from d3talker.people.audio import deepspeech, speech_models
from d3talker.people.audio.features import WINDOWED, choose, content, extract, own_steps, steps, windows
from d3talker.people.audio.graph import float_constants
from d3talker.people.audio.mfcc import mfcc
from d3talker.weights import MissingWeights

rng = np.random.default_rng(0)


def test_windows_are_those_of_the_official_loop():
    steps = rng.normal(size=(100, 29)).astype(np.float32)
    padded = np.concatenate([np.zeros((8, 29)), steps, np.zeros((8, 29))])
    official = np.array([padded[i:i + 16] for i in range(0, len(padded) - 16, 2)], np.float32)
    np.testing.assert_array_equal(windows(steps, 50), official)
    longer = windows(steps, 60)
    np.testing.assert_array_equal(longer[:50], official)
    assert not longer[58:].any()


def test_mel_of_silence_is_zero_and_of_sound_is_not():
    assert not extract("mel", np.zeros(32000, np.float32), 50).any()
    loud = np.zeros(32000, np.float32)
    loud[16000:] = 0.1 * rng.normal(size=16000)
    features = extract("mel", loud, 50)
    assert features.shape == (50, 16, 29) and features.dtype == np.float32
    assert not features[:20].any() and (features[30] > 0.5).all()
    assert features[25, 8].mean() > features[25, 6].mean()  # row 8 of frame 25 is its own time, 1.0 s


@pytest.mark.parametrize("coefficients", [13, 26])
@pytest.mark.parametrize("samples", [100, 400, 401, 16000, 16123])
def test_mfcc_equals_python_speech_features(samples, coefficients):
    reference = pytest.importorskip("python_speech_features")
    signal = (3000 * rng.normal(size=samples)).astype(np.int16)
    for signal in (signal, np.zeros_like(signal)):
        expected = reference.mfcc(signal, 16000, numcep=coefficients)
        np.testing.assert_allclose(mfcc(signal, coefficients), expected, rtol=1e-9, atol=1e-9)


def test_input_vectors_see_nine_frames_around():
    vectors = deepspeech.input_vectors(rng.normal(0, 0.1, 16000).clip(-1, 1).astype(np.float32))
    assert vectors.shape == (50, 494) and abs(vectors.mean()) < 1e-5 and abs(vectors.std() - 1) < 1e-5
    np.testing.assert_array_equal(vectors[10].reshape(19, 26)[9 + 3], vectors[13].reshape(19, 26)[9])


def message(*parts: tuple[int, int | bytes]) -> bytes:
    """Protobuf wire format of (field number, integer or bytes)."""

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    out = b""
    for number, value in parts:
        out += varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value
    return out


def constant(name: str, array: np.ndarray, packed: bool = False) -> bytes:
    """A GraphDef's node that holds a float constant."""
    shape = message(*[(2, message((1, size))) for size in array.shape])
    values = (5, struct.pack(f"<{array.size}f", *array.ravel())) if packed else (4, array.astype("<f4").tobytes())
    tensor = message((1, 1), (2, shape), values)
    attribute = message((1, b"value"), (2, message((8, tensor))))
    return message((1, message((1, name.encode()), (2, b"Const"), (5, message((1, b"dtype"), (2, message((6, 1))))), (5, attribute))))


@pytest.fixture
def constants() -> dict[str, np.ndarray]:
    """A small DeepSpeech with the graph's names: 494 -> 8 -> 8 -> 16 -> LSTM 8 + 8 -> 8 -> 29."""
    shapes = {"1": (494, 8), "2": (8, 8), "3": (8, 16), "5": (16, 8), "6": (8, 29)}
    out = {}
    for number, shape in shapes.items():
        out[f"h{number}"], out[f"b{number}"] = rng.normal(0, 0.3, shape).astype("f4"), rng.normal(0, 0.3, shape[1]).astype("f4")
    for side in ("fw", "bw"):
        cell = f"bidirectional_rnn/{side}/basic_lstm_cell"
        out[f"{cell}/kernel"], out[f"{cell}/bias"] = rng.normal(0, 0.3, (24, 32)).astype("f4"), rng.normal(0, 0.3, 32).astype("f4")
    return out


def reference_logits(c: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The published graph's mathematics, step by step in numpy."""
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    for n in "123":
        x = np.clip(x @ c[f"h{n}"] + c[f"b{n}"], 0, 20)
    sides = []
    for side, order in (("fw", range(len(x))), ("bw", reversed(range(len(x))))):
        kernel, bias = (c[f"bidirectional_rnn/{side}/basic_lstm_cell/{kind}"] for kind in ("kernel", "bias"))
        h, state, out = np.zeros(8), np.zeros(8), np.zeros((len(x), 8))
        for t in order:
            i, j, f, o = np.split(np.concatenate([x[t], h]) @ kernel + bias, 4)
            state = state * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
            h = out[t] = np.tanh(state) * sigmoid(o)
        sides.append(out)
    x = np.clip(np.concatenate(sides, 1) @ c["h5"] + c["b5"], 0, 20)
    return x @ c["h6"] + c["b6"]


def test_network_from_a_frozen_graph_equals_the_mathematics(constants, tmp_path):
    graph = b"".join(constant(name, value, packed=name.startswith("b")) for name, value in constants.items())
    graph += message((1, message((1, b"input_node"), (2, b"Placeholder")))) + message((4, message((1, 24))))
    path = tmp_path / "deepspeech-0_1_0.pb"
    path.write_bytes(graph)
    read = float_constants(path)
    assert {name: value.tolist() for name, value in read.items()} == {name: value.tolist() for name, value in constants.items()}
    x = rng.normal(size=(12, 494)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(deepspeech.load(path)(torch.from_numpy(x)), reference_logits(constants, x), atol=1e-4)
    assert choose(("auto",), tmp_path) == ["mel", *content()[0], "deepspeech"]
    assert extract("deepspeech", 0.1 * rng.normal(size=32000).astype("f4"), 50, tmp_path).shape == (50, 16, 29)


@pytest.mark.parametrize("content", [b"", b"not a graph at all", b"\x0a\xff\xff\xff\x7f", bytes(100)])
def test_what_is_no_graph_is_refused(content, tmp_path):
    path = tmp_path / "deepspeech-0_1_0.pb"
    path.write_bytes(content)
    with pytest.raises(UserError, match="frozen TensorFlow graph"):
        float_constants(path)


def test_another_graph_and_a_damaged_one_are_refused(tmp_path):
    path = tmp_path / "deepspeech-0_1_0-b90017e8.pb"
    path.write_bytes(constant("h1", np.ones((3, 2))))
    with pytest.raises(UserError, match="not DeepSpeech"):
        deepspeech.load(path)
    with pytest.raises(UserError, match="sha1"):
        deepspeech.deepspeech_steps(np.zeros(16000, np.float32), tmp_path)


@pytest.mark.parametrize(("kind", "steps", "width"), [("hubert", speech_models.hubert_steps, 16), ("wav2vec2", speech_models.wav2vec2_steps, 11)])
def test_transformers_models_give_fifty_rows_a_second(kind, steps, width, tmp_path, monkeypatch, torchvision):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 11,
             "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    torch.manual_seed(0)
    config, model = {"hubert": ("HubertConfig", "HubertModel"), "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2ForCTC")}[kind]
    getattr(transformers, model)(getattr(transformers, config)(**small)).save_pretrained(tmp_path / "model")
    audio = (0.1 * rng.normal(size=3 * 16000)).astype(np.float32)
    rows = steps(audio, tmp_path)
    assert rows.shape == (150, width) and np.isfinite(rows).all()
    monkeypatch.setattr(speech_models, "CHUNK", 40)
    pieces = steps(audio, tmp_path)
    assert pieces.shape == rows.shape and np.corrcoef(pieces[60:90].ravel(), rows[60:90].ravel())[0, 1] > 0.9
    assert extract(kind, audio, 75, tmp_path).shape == ((75, 2, 16) if kind == "hubert" else (75, 16, 11))


def test_missing_models_and_unknown_names_say_so(tmp_path, monkeypatch):
    monkeypatch.delenv("D3TALKER_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match="hubert"):
        speech_models.find_model("hubert", tmp_path)
    with pytest.raises(UserError, match="unknown"):
        choose(("hubbert",))
    assert choose(("auto", "mel"), tmp_path)[0] == "mel"


def test_a_file_of_windows_and_one_of_own_steps_say_the_same():
    found = rng.normal(size=(100, 7)).astype(np.float32)
    rows = windows(found, 50)
    np.testing.assert_array_equal(own_steps(rows), found)
    np.testing.assert_array_equal(own_steps(found.reshape(50, 2, 7)), found)
    with pytest.raises(UserError, match=r"\[50, 7\]"):
        own_steps(found[:50])


@pytest.mark.parametrize("name", ["mel", "phonemes", "allphone"])
def test_every_name_has_rows_and_a_file(name):
    if name not in ("mel", *content()[0]):
        pytest.skip("needs the extra 'speech-content'")
    audio = (0.1 * rng.normal(size=32000)).astype(np.float32)
    rows = steps(name, audio)
    assert len(rows) == 101
    file = extract(name, audio, 50)
    assert file.shape == (50, 16 if name in WINDOWED else 2, rows.shape[1])
    np.testing.assert_array_equal(own_steps(file), rows[:100])


def test_content_that_is_absent_is_named(monkeypatch):
    from d3talker.errors import MissingExtra
    from d3talker.people.audio import allphone, phonemes

    def absent() -> None:
        raise MissingExtra("hama.asr", "speech-content", "phonemes features")

    monkeypatch.setattr(phonemes, "check", absent)
    monkeypatch.setattr(allphone, "check", lambda: None)
    names, reason = content()
    assert names == ["allphone"] and "speech-content" in reason and "hama" in reason


def test_a_quiet_and_a_loud_copy_have_the_same_features():
    sound = 0.3 * np.random.default_rng(0).normal(size=32000).astype(np.float32) * np.sin(np.arange(32000) / 3000)
    loud, quiet = (extract("mel", gain * sound, 50) for gain in (1.0, 0.05))
    np.testing.assert_allclose(quiet, loud, atol=1e-3)
