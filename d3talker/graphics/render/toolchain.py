"""What gsplat's kernels need on this machine: found by looking, without importing gsplat, which may compile for minutes."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = "TORCH_CUDA_ARCH_LIST"
EXTENSION = "gsplat_cuda"  # gsplat/cuda/_backend.py: the name of what it compiles at first use


@dataclass(frozen=True)
class Part:
    """One thing that a build needs: whether it is there, and what was found or what to do."""

    name: str
    there: bool
    text: str


def parts() -> list[Part]:
    """torch's CUDA, nvcc, ninja, a C++ compiler, the architectures to build for, and kernels that are built already."""
    return [_torch(), _nvcc(), _ninja(), _compiler(), _architectures(), _kernels()]


def usable(found: list[Part]) -> bool:
    """Whether gsplat's kernels are built, or everything that builds them is there."""
    return found[0].there and (found[-1].there or all(part.there for part in found[:-1]))


def kernels() -> Path | None:
    """The compiled extension: of an installed wheel, or of an earlier first use; None where there is none."""
    spec = importlib.util.find_spec("gsplat")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if found := sorted([*Path(place).glob("csrc*.so"), *Path(place).glob("csrc*.pyd")]):
            return found[0]
    from torch.utils.cpp_extension import get_default_build_root

    own = os.environ.get("TORCH_EXTENSIONS_DIR")
    root = Path(own or get_default_build_root())
    folder = "" if own else f"py{sys.version_info.major}{sys.version_info.minor}*/"
    found = sorted(root.glob(f"{folder}{EXTENSION}/{EXTENSION}.*"))
    return next((path for path in found if path.suffix in (".so", ".pyd", ".lib")), None)


def _torch() -> Part:
    import torch

    if torch.version.cuda is None:
        return Part("torch for CUDA", False, f"torch {torch.__version__} is a CPU build; install its build for your CUDA version")
    return Part("torch for CUDA", True, f"built with CUDA {torch.version.cuda}")


def _nvcc() -> Part:
    import torch

    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"  # torch looks there, too
    inside = Path(home) / "bin" / "nvcc"
    path = str(inside) if inside.is_file() else shutil.which("nvcc")
    wanted = torch.version.cuda
    which = f"CUDA toolkit {wanted}" if wanted else "CUDA toolkit of your torch's CUDA version"
    if path is None:
        return Part("nvcc", False, f"none found: install the {which}, and let CUDA_HOME name its folder")
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - it is nvcc
    release = re.search(r"release (\d+)\.(\d+)", text)
    if release is None:
        return Part("nvcc", False, f"{path} does not run: install the {which} again")
    version = ".".join(release.groups())
    if wanted and release[1] != wanted.split(".")[0]:
        text = f"{path} is of CUDA {version}, torch of {wanted}: install the {which}, and let CUDA_HOME name its folder"
        return Part("nvcc", False, text)
    return Part("nvcc", True, f"CUDA {version}, {path}")


def _ninja() -> Part:
    path = shutil.which("ninja")
    return Part("ninja", path is not None, path or "pip install ninja")


def _compiler() -> Part:
    name = os.environ.get("CXX", "c++" if sys.platform != "win32" else "cl")
    path = shutil.which(name)
    return Part("C++ compiler", path is not None, path or f"no {name}: install g++, or let CXX name your compiler")


def _architectures() -> Part:
    import torch

    asked = os.environ.get(ARCHITECTURES)
    if not torch.cuda.is_available():
        there = bool(asked)
        return Part(ARCHITECTURES, there, asked or f"no card to ask: set {ARCHITECTURES}, to 9.0 for an H100, 8.9 for an RTX 4090")
    card = ".".join(str(number) for number in torch.cuda.get_device_capability())
    if asked is None:
        return Part(ARCHITECTURES, True, f"not set, so the kernels are built for this card alone ({card})")
    listed = [entry.removesuffix("+PTX") for entry in re.split("[; ]+", asked)]
    if card in listed or any(entry.endswith("+PTX") for entry in re.split("[; ]+", asked)):
        return Part(ARCHITECTURES, True, asked)
    return Part(ARCHITECTURES, False, f"{asked} leaves this card out: unset it, or add {card}")


def _kernels() -> Part:
    path = kernels()
    return Part("gsplat's kernels", path is not None, str(path or "not built yet: the first use compiles them, some minutes long"))
