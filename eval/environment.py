"""Where and with what a job runs: commit, packages, device; never asked of the current directory."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from d3talker.version import __version__
from eval.records import Environment

PACKAGES = (
    "torch", "numpy", "numba", "scipy", "scikit-image", "lpips", "dlib-bin", "dlib", "syncnet-python", "gsplat", "tinycudann", "av",
    "opencv-python-headless",
)
SOURCE = Path(__file__).resolve().parent.parent


def describe(device: str) -> Environment:
    """The environment of a job that runs on `device` ("cpu" or "cuda")."""
    import torch

    commit, dirty = suite_commit()
    return Environment(
        version=__version__, commit=commit, dirty=dirty, python=platform.python_version(), platform=platform.platform(),
        packages=package_versions(), device=device_name(device), driver=driver() if device == "cuda" else None,
        threads=torch.get_num_threads(),
    )


def suite_commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout that this code runs from, and whether it was changed; (None, None) for an installed wheel."""
    if not (SOURCE / ".git").exists():
        return None, None
    commit = _output(["git", "-C", str(SOURCE), "rev-parse", "HEAD"])
    status = _output(["git", "-C", str(SOURCE), "status", "--porcelain", "--untracked-files=no"])
    return (commit or None), (None if status is None else bool(status))


def package_versions() -> dict[str, str]:
    """Installed versions of what can change a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def device_name(device: str) -> str:
    """The GPU's or the processor's name, with its number of cores."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    try:
        model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
        name = model.split(":", 1)[1].strip()
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def driver() -> str | None:
    """NVIDIA driver version, or None."""
    lines = (_output(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]) or "").splitlines()
    return lines[0] if lines else None


def _output(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - fixed arguments
    return done.stdout.strip() if done.returncode == 0 else None
