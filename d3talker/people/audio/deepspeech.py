"""DeepSpeech 0.1.0 in torch, with the weights of its published frozen graph: letters' logits 50 times a second.

Network: mozilla/DeepSpeech v0.1.0 (DeepSpeech.py, BiRNN): three clipped ReLU layers on 19 frames of 26 cepstra, a
bidirectional LSTM, another clipped ReLU layer, and 29 logits.  Front end: osmr/deepspeech_features, which all
talking-head codes share.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from d3talker.errors import UserError
from d3talker.people.audio.graph import float_constants
from d3talker.people.audio.mfcc import mfcc
from d3talker.weights import find_weights

if TYPE_CHECKING:
    import torch

CONTEXT = 9  # frames of 20 ms before and after
CLIP = 20.0  # of the ReLU
FORGET = 1.0  # added to the forget gate's bias by TensorFlow's BasicLSTMCell
SHA1 = "b90017e8"  # the publisher puts the digest's beginning into the file's name


def deepspeech_steps(audio: np.ndarray, weights: Path | None = None) -> np.ndarray:
    """Mono 16 kHz sound [S] in [-1, 1] -> logits float32 [about S / 320, 29].

    Raises MissingWeights when the graph is not found, UserError when the file is not DeepSpeech 0.1.0's.
    """
    import torch

    path = find_weights("deepspeech", weights)
    _check(path)
    with torch.no_grad():
        return load(path)(torch.from_numpy(input_vectors(audio))).numpy()


def input_vectors(audio: np.ndarray) -> np.ndarray:
    """What the network sees, float32 [F, 494]: cepstra every 20 ms with 9 frames around, standardised over the clip."""
    rows = mfcc((audio * 32767).astype(np.int16), 26)[::2]
    padded = np.pad(rows, ((CONTEXT, CONTEXT), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * CONTEXT + 1, axis=0).transpose(0, 2, 1)
    flat = windows.reshape(len(rows), -1)
    return ((flat - flat.mean()) / flat.std()).astype(np.float32)


def load(path: Path) -> torch.nn.Module:
    """The network with the constants of a frozen graph file."""
    constants = float_constants(path)
    try:
        return network(constants)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not DeepSpeech 0.1.0's graph ({error}); get deepspeech-0_1_0-b90017e8.pb") from None


def network(constants: dict[str, np.ndarray]) -> torch.nn.Module:
    """The network [F, 494] -> [F, 29] from constants named as in the graph."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = torch.nn.ModuleList(_linear(constants, n) for n in "123")
            self.lstm = _lstm(constants)
            self.back, self.last = _linear(constants, "5"), _linear(constants, "6")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.front:
                x = layer(x).clamp(0, CLIP)
            return self.last(self.back(self.lstm(x)[0]).clamp(0, CLIP))

    return Network().eval()


def _linear(constants: dict[str, np.ndarray], number: str) -> torch.nn.Linear:
    import torch

    weight, bias = constants[f"h{number}"], constants[f"b{number}"]
    layer = torch.nn.Linear(*weight.shape)
    layer.load_state_dict({"weight": torch.tensor(weight.T), "bias": torch.tensor(bias)})
    return layer


def _lstm(constants: dict[str, np.ndarray]) -> torch.nn.LSTM:
    """TensorFlow's gates (input, candidate, forget, output) in one matrix -> torch's order, 0, 2, 1, 3 of these."""
    import torch

    kernel = _cell(constants, "fw", ("kernel", "weights"))
    hidden = kernel.shape[1] // 4
    width = kernel.shape[0] - hidden
    lstm = torch.nn.LSTM(width, hidden, bidirectional=True)
    state = {}
    for side, suffix in (("fw", ""), ("bw", "_reverse")):
        matrix, bias = _cell(constants, side, ("kernel", "weights")), _cell(constants, side, ("bias", "biases"))
        gates = [matrix[:, k * hidden:(k + 1) * hidden] for k in (0, 2, 1, 3)]
        shifts = [bias[k * hidden:(k + 1) * hidden] + (FORGET if k == 2 else 0) for k in (0, 2, 1, 3)]
        stacked = np.concatenate(gates, 1).T
        state[f"weight_ih_l0{suffix}"], state[f"weight_hh_l0{suffix}"] = (
            torch.tensor(part) for part in (stacked[:, :width], stacked[:, width:])
        )
        state[f"bias_ih_l0{suffix}"] = torch.tensor(np.concatenate(shifts))
        state[f"bias_hh_l0{suffix}"] = torch.zeros(4 * hidden)
    lstm.load_state_dict(state)
    return lstm


def _cell(constants: dict[str, np.ndarray], side: str, kinds: tuple[str, ...]) -> np.ndarray:
    """The LSTM's matrix or bias of one direction; its name grew with TensorFlow's versions."""
    for name, value in constants.items():
        parts = name.split("/")
        if side in parts and parts[-1] in kinds:
            return value
    raise KeyError(f"no {side} LSTM {kinds[0]}")


def _check(path: Path) -> None:
    if SHA1 not in path.name:
        return
    with path.open("rb") as stream:
        digest = hashlib.sha1(usedforsecurity=False)
        while block := stream.read(1 << 20):
            digest.update(block)
    if not digest.hexdigest().startswith(SHA1):
        raise UserError(f"{path} is not the published file (its sha1 should begin {SHA1}); get it again")
