"""Find other people's network weights on this machine, or fetch them with a checksum; nothing is unpickled."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from d3talker.download import download as download_file
from d3talker.download import mirrored
from d3talker.errors import UserError
from d3talker.files import sha256_file

if TYPE_CHECKING:
    from torch import Tensor

ENVIRONMENT = "D3TALKER_WEIGHTS"
OFFLINE = "D3TALKER_OFFLINE"


@dataclass(frozen=True)
class WeightFile:
    """A file that others publish: its accepted names (the first is the published one), digest, address, and what to know of it."""

    names: tuple[str, ...]
    sha256: str  # of the published file; torchvision publishes the first 8 digits, in the file's name
    url: str
    purpose: str = ""
    megabytes: float = 0.0
    licence: str = ""

    @property
    def fetchable(self) -> bool:
        """Whether there is an address to fetch it from, and a checksum to know it by."""
        return bool(self.sha256)


IMAGENET = "weights of torchvision (BSD-3-Clause), trained on ImageNet (its terms: research)"
VGG_GROUP = "published by Oxford's VGG for research; code MIT"
FILES = {
    "alexnet": WeightFile(
        ("alexnet-owt-7be5be79.pth", "alexnet_features_torch_layout.npz"),
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "LPIPS (AlexNet), and the refiner's perceptual loss", 244.4, IMAGENET,
    ),
    "vgg16": WeightFile(
        ("vgg16-397923af.pth",),
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "LPIPS (VGG-16)", 553.4, IMAGENET,
    ),
    "squeezenet": WeightFile(
        ("squeezenet1_1-b8a52dc0.pth", "squeezenet1_1_features.pth"),
        "b8a52dc0",
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        "LPIPS (SqueezeNet)", 5.0, IMAGENET,
    ),
    "syncnet": WeightFile(
        ("syncnet_v2.model",),
        "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
        "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        "Sync-C and Sync-D", 54.6, VGG_GROUP,
    ),
    "s3fd": WeightFile(
        ("sfd_face.pth",),
        "d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
        "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/sfd_face.pth",
        "Sync-C and Sync-D (official): its face detector", 89.8, VGG_GROUP,
    ),
    "deepspeech": WeightFile(
        ("deepspeech-0_1_0-b90017e8.pb", "deepspeech-0_1_0.pb"),
        "",  # published with a SHA-1 only, which audio/deepspeech.py checks
        "https://github.com/osmr/deepspeech_features/releases (unpack the zip)",
        "DeepSpeech's audio features, the paper's own", 188.0, "Mozilla DeepSpeech: MPL-2.0",
    ),
    "bfm": WeightFile(
        ("BFM_model_front.mat",),
        "",  # made by each holder of the licence
        "Deep3DFaceReconstruction's scripts, from the licensed Basel Face Model 2009",
        "Real3D-Portrait's coefficients on their own face", 0.0, "Basel Face Model 2009: sign its agreement",
    ),
    "portrait": WeightFile(
        ("portrait_deeplab_513.onnx", "deeplab_nchw.onnx"),
        "92ca50e4b49eafd530abbe6ff397e288dc9e8ce4570d08550d373f3d7d62a27d",
        "https://github.com/anilsathyan7/Portrait-Segmentation/raw/master/models/deeplab_dm05_513/deeplab_nchw.onnx",
        "prepare: where the person is", 3.4, "MIT",
    ),
}
GROUPS = {  # what `d3talker weights fetch` takes beside single names
    "lpips": ("alexnet",), "sync": ("syncnet", "s3fd"), "all": tuple(name for name, file in FILES.items() if file.fetchable),
}


class MissingWeights(UserError):
    """A weights file is nowhere to be found; the message names it and says where to put it."""


def find_weights(name: str, folder: Path | None = None, *, download: bool = False) -> Path:
    """Path of the weights `name` (a key of FILES), its digest checked where the published file is the one found.

    Looks in `folder`, $D3TALKER_WEIGHTS, the cache folder, torch hub's cache, and their direct subfolders.
    Downloads to the cache only if `download` is set and $D3TALKER_OFFLINE is not.
    Raises MissingWeights when it is nowhere, UserError when a file is not the published one or `folder` does not exist.
    """
    wanted = FILES[name]
    for place in places(folder):
        for candidate in (path / file for path in (place, *_subfolders(place)) for file in wanted.names):
            if candidate.is_file():
                return _checked(candidate, wanted)
    if download and wanted.fetchable and not os.environ.get(OFFLINE):
        return fetch(name)
    if wanted.fetchable:
        raise MissingWeights(f"{wanted.names[0]} is not on this machine; get it with: d3talker weights fetch {name}")
    raise MissingWeights(
        f"{wanted.names[0]} is not on this machine; make it or fetch it yourself ({wanted.url}), and put it into a folder that "
        f"${ENVIRONMENT} names"
    )


def fetch(name: str) -> Path:
    """Download the weights `name` into the cache folder, with a bar, from $D3TALKER_MIRROR first where that is set.

    An interrupted download goes on where it stopped.  Raises UserError when no address gives the published file, when
    $D3TALKER_OFFLINE is set, and for a file that nobody may hand on.
    """
    wanted = FILES[name]
    if not wanted.fetchable:
        raise UserError(f"{wanted.names[0]} cannot be fetched by a program: {wanted.url}; licence: {wanted.licence}")
    if os.environ.get(OFFLINE):
        raise UserError(f"${OFFLINE} is set, so nothing is downloaded; unset it, or fetch {wanted.url} by hand")
    target = cache_folder() / wanted.names[0]
    download_file(mirrored(wanted.url, wanted.names[0]), target, wanted.sha256)
    return target


def cache_folder() -> Path:
    """Where fetched files lie: d3talker's own cache of this user."""
    import pooch

    return Path(pooch.os_cache("d3talker"))


def load_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, from a .npz file or a torch file (weights only, never pickled objects).

    Raises UserError when the file holds anything else.
    """
    import torch

    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {key: torch.from_numpy(archive[key]) for key in archive.files}
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path} is not a readable weights file ({type(error).__name__}); get it again") from error


def packaged_file(package: str, relative: str, extra: str, purpose: str) -> Path:
    """A data file inside an installed package, found without importing it.

    Raises MissingWeights naming the extra to install.
    """
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / relative if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        command = f"in the d3talker checkout run: pip install '.[{extra}]'"
        raise MissingWeights(f"{purpose} needs {relative} of the package '{package}'; {command}")
    return path


def places(folder: Path | None) -> Iterator[Path]:
    """Folders that are searched for weights, in order.  Raises UserError when `folder` does not exist."""
    if folder is not None:
        if not Path(folder).is_dir():
            raise UserError(f"the weights folder {folder} does not exist; give one that does")
        yield Path(folder)
    if os.environ.get(ENVIRONMENT):
        yield Path(os.environ[ENVIRONMENT])
    yield cache_folder()
    hub = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "torch"
    yield Path(hub) / "hub" / "checkpoints"


def _subfolders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


@cache
def _checked(path: Path, wanted: WeightFile) -> Path:
    # A converted file (a network's convolutions alone) has no published digest; its shapes are checked on loading.
    if path.name == wanted.names[0] and not sha256_file(path).startswith(wanted.sha256):
        raise UserError(f"{path} is not the published file (its sha256 should begin {wanted.sha256}); get it again")
    return path
