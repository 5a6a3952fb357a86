"""`d3talker doctor`: what this machine has, and the command that gets what is missing."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from d3talker.version import __version__


@dataclass(frozen=True)
class DoctorConfig:
    """No options."""


@dataclass(frozen=True)
class Finding:
    """One line: what, whether it is there, what was found or what to do."""

    what: str
    there: bool
    text: str


def run(config: DoctorConfig) -> int:
    """Print the findings; returns 0, for nothing here is needed by everybody."""
    table = Table(title=f"d3talker {__version__}", show_lines=False, box=None, title_justify="left")
    for heading in ("", "part", "found, or how to get it"):
        table.add_column(heading, overflow="fold")
    for check in CHECKS:
        for finding in check():
            table.add_row("[green]yes[/]" if finding.there else "[yellow]no[/]", escape(finding.what), escape(finding.text))
    Console().print(table)
    return 0


def device() -> list[Finding]:
    """Processor and GPU."""
    import torch

    found = [Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} of {os.cpu_count()} CPU cores")]
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        found.append(Finding("CUDA GPU", True, f"{torch.cuda.get_device_name()}, {memory:.0f} GiB"))
    else:
        found.append(Finding("CUDA GPU", False, "none: training runs on the CPU (d3talker bench --preset mini)"))
    return found


def packages() -> list[Finding]:
    """Optional packages, by what they are for."""
    wanted = [
        ("tinycudann", "tinycudann", "CUDA hash grid", "not on PyPI: build NVIDIA's tiny-cuda-nn against this torch; optional"),
        ("dlib", "dlib-bin", "landmarks", "pip install '.[landmarks]'"),
        ("lpips", "lpips", "LPIPS", "pip install '.[lpips]'"),
        ("syncnet_python", "syncnet-python", "official Sync mode", "pip install '.[sync]'"),
        ("espeakng_loader", "espeakng-loader", "synthetic people", "pip install '.[synth]'"),
        ("hama", "hama", "phonemes features", "pip install '.[speech-content]'"),
        ("pocketsphinx", "pocketsphinx", "allphone features", "pip install '.[speech-content]'"),
        ("ray", "ray", "parallel sweeps", "pip install '.[sweep]'"),
        ("submitit", "submitit", "Slurm sweeps", "pip install '.[sweep]'"),
    ]
    return [
        Finding(f"{module} ({purpose})", True, _version(package))
        if importlib.util.find_spec(module) is not None
        else Finding(f"{module} ({purpose})", False, f"in the checkout run: {how}" if how.startswith("pip") else how)
        for module, package, purpose, how in wanted
    ]


def rasteriser() -> list[Finding]:
    """gsplat, and what its kernels need: they are compiled on the user's machine."""
    from d3talker.graphics.render import toolchain

    if importlib.util.find_spec("gsplat") is None:
        return [Finding("gsplat (CUDA rasteriser)", False, "in the checkout run: pip install '.[gpu]'")]
    parts = toolchain.parts()
    usable = toolchain.usable(parts)
    state = "its kernels are built" if parts[-1].there else "its kernels can be built"
    text = state if usable else "but no kernels: mend what the lines below name"
    return [
        Finding("gsplat (CUDA rasteriser)", usable, f"{_version('gsplat')}, {text}"),
        *(Finding(f"  {part.name}", part.there, part.text) for part in parts),
    ]


def weights() -> list[Finding]:
    """Weights of metrics, which are the user's files."""
    from d3talker.errors import UserError
    from d3talker.weights import FILES, find_weights

    found = []
    for name in FILES:
        try:
            found.append(Finding(f"weights {name}", True, str(find_weights(name))))
        except UserError as error:
            found.append(Finding(f"weights {name}", False, str(error)))
    return found


def codecs() -> list[Finding]:
    """Video codecs that predictions and reports are written with."""
    import av

    found = []
    for name, purpose in (("ffv1", "lossless predictions"), ("libx264", "videos to look at"), ("aac", "their sound")):
        there = name in av.codecs_available
        text = f"PyAV {av.__version__}" if there else "pip install --force-reinstall av"
        found.append(Finding(f"{name} ({purpose})", there, text))
    return found


CHECKS: tuple[Callable[[], list[Finding]], ...] = (device, rasteriser, packages, codecs, weights)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "installed"
