"""`doctor` on gsplat: what its build needs is looked for, and each missing part says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from d3talker import doctor
from d3talker.graphics.render import toolchain


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that is the whole PATH; a torch for CUDA 12.8; a card 9.0; nothing built."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("ninja", "c++"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    nvcc(tools, "12.4")
    for name in ("CUDA_PATH", "CXX", toolchain.ARCHITECTURES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "no-toolkit"))
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    return tools


def nvcc(folder: Path, release: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nvcc").write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.1'\n")
    (folder / "nvcc").chmod(0o755)


def missing() -> dict[str, str]:
    return {part.name: part.text for part in toolchain.parts() if not part.there}


def test_all_there_but_not_built(machine: Path) -> None:
    assert list(missing()) == ["gsplat's kernels"] and "first use compiles" in missing()["gsplat's kernels"]
    assert toolchain.usable(toolchain.parts())


def test_built_kernels_need_no_compiler(machine: Path, tmp_path: Path) -> None:
    built = tmp_path / "extensions" / "gsplat_cuda" / "gsplat_cuda.so"
    built.parent.mkdir(parents=True)
    built.touch()
    (machine / "nvcc").unlink()
    assert toolchain.kernels() == built and toolchain.usable(toolchain.parts())


@pytest.mark.parametrize(("absent", "advice"), [
    ("nvcc", "install the CUDA toolkit 12.8"), ("ninja", "pip install ninja"), ("c++", "install g\\+\\+"),
])
def test_what_is_absent_says_what_to_do(machine: Path, absent: str, advice: str) -> None:
    (machine / absent).unlink()
    names = {"c++": "C++ compiler"}
    text = missing()[names.get(absent, absent)]
    assert advice.replace("\\", "") in text
    assert not toolchain.usable(toolchain.parts())


def test_a_toolkit_of_another_version_and_the_one_in_cuda_home(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvcc(machine, "11.8")
    assert "of CUDA 11.8, torch of 12.8" in missing()["nvcc"]
    nvcc(tmp_path / "toolkit" / "bin", "12.6")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    assert "nvcc" not in missing()


@pytest.mark.parametrize(("asked", "there"), [("9.0", True), ("8.0;9.0", True), ("8.0+PTX", True), ("7.5 8.6", False)])
def test_architectures(machine: Path, monkeypatch: pytest.MonkeyPatch, asked: str, there: bool) -> None:
    monkeypatch.setenv(toolchain.ARCHITECTURES, asked)
    assert ("leaves this card out" in missing().get(toolchain.ARCHITECTURES, "")) is not there


def test_a_cpu_build_of_torch_cannot_use_them(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "extensions" / "gsplat_cuda").mkdir(parents=True)
    (tmp_path / "extensions" / "gsplat_cuda" / "gsplat_cuda.so").touch()
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "CPU build" in missing()["torch for CUDA"]
    assert not toolchain.usable(toolchain.parts())


def test_doctor_says_no_without_kernels_and_imports_no_gsplat(machine: Path) -> None:
    if doctor.importlib.util.find_spec("gsplat") is None:
        pytest.skip("gsplat is not installed")
    (machine / "nvcc").unlink()
    loaded = "gsplat" in sys.modules
    first, *rest = doctor.rasteriser()
    assert not first.there and "no kernels" in first.text and len(rest) == 6
    assert ("gsplat" in sys.modules) == loaded
