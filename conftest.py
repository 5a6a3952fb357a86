"""Fixtures that tests and benchmarks share: the packages whose answers ours are held against."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """torchvision, also where its operators do not fit a CPU-only torch ("torchvision::nms does not exist")."""
    torch = pytest.importorskip("torch")
    try:
        return pytest.importorskip("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):  # the schemas alone let the import pass; nobody calls them here
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    module = importlib.import_module("torchvision")
    module._schemas = library  # a Library that is collected takes its schemas along
    return module


@pytest.fixture(scope="session")
def lpips_package(torchvision: ModuleType) -> ModuleType:
    """The official lpips package."""
    return pytest.importorskip("lpips")
