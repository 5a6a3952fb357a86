"""HuBERT and wav2vec 2.0 features through transformers, from a folder on this machine; nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from d3talker.errors import UserError, require
from d3talker.weights import MissingWeights, places

RATE, STEP = 16000, 320  # 50 rows a second
CHUNK, MARGIN = 1000, 50  # rows: 20 s at a time, with 1 s on both sides that is cut off again


def hubert_steps(audio: np.ndarray, weights: Path | None = None) -> np.ndarray:
    """Last hidden state, float32 [S / 320, width] (1024 for HuBERT-large), of mono 16 kHz sound [S]."""
    return _steps("hubert", "AutoModel", "last_hidden_state", audio, weights)


def wav2vec2_steps(audio: np.ndarray, weights: Path | None = None) -> np.ndarray:
    """CTC logits, float32 [S / 320, letters] (44 for the Esperanto model of RAD-NeRF), of mono 16 kHz sound [S]."""
    return _steps("wav2vec2", "AutoModelForCTC", "logits", audio, weights)


def find_model(kind: str, weights: Path | None = None) -> Path:
    """Folder whose config.json is of model type `kind`, among the weights folders and those directly in them."""
    for place in places(weights):
        for config in sorted([*place.glob("config.json"), *place.glob("*/config.json")]):
            try:
                if json.loads(config.read_text(encoding="utf-8")).get("model_type") == kind:
                    return config.parent
            except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
                continue
    raise MissingWeights(
        f"no {kind} model was found; put its folder (config.json, safetensors) into the one that $D3TALKER_WEIGHTS names"
    )


def _steps(kind: str, loader: str, output: str, audio: np.ndarray, weights: Path | None) -> np.ndarray:
    transformers = require("transformers", "speech", f"{kind} features")
    folder = find_model(kind, weights)
    try:
        model = getattr(transformers, loader).from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except ImportError as error:  # a torchvision that does not fit torch is the usual cause
        raise UserError(f"transformers cannot import its {kind} model ({error}); mend or remove torchvision") from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} is not a {kind} model in safetensors format ({reason}); get it again") from None
    return _in_chunks(model.eval(), output, _normalised(audio))


def _normalised(audio: np.ndarray) -> np.ndarray:
    return ((audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)).astype(np.float32)


def _in_chunks(model: Any, output: str, audio: np.ndarray) -> np.ndarray:
    """Rows of the whole sound, computed 20 s at a time: attention over minutes would fill the memory."""
    import torch

    total = -(-len(audio) // STEP)
    rows = []
    for first in range(0, total, CHUNK):
        begin, end = max(first - MARGIN, 0), min(first + CHUNK + MARGIN, total)
        piece = np.pad(audio[begin * STEP:end * STEP], (0, 400))  # the convolutions' field: gives the last rows too
        with torch.no_grad():
            found = getattr(model(torch.from_numpy(piece)[None]), output)[0].numpy()
        rows.append(found[first - begin:min(first + CHUNK, total) - begin])
    return np.concatenate(rows).astype(np.float32)
