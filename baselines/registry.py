"""Every method by name: the paper's in table order, the floors, entry points, plug-in files and declared outputs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from baselines import declared
from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec
from d3talker.errors import UserError
from d3talker.learning.contract import Method, Row

GROUP = "d3talker.methods"
DEFAULT = "d3talker"  # what is trained where no method is named
TABLE_ORDER = (
    "ground_truth", "rad_nerf", "dfrf", "er_nerf", "gaussiantalker", "talkinggaussian", "instag", "d3_talker",
    "mean_frame", "nearest_pose", "ground_truth_h264",
)


@dataclass(frozen=True)
class Broken:
    """A plug-in that could not be loaded: where it comes from, and why."""

    source: str
    reason: str


class Registry:
    """All methods, in the order of the tables; a broken plug-in is kept in `broken`, never fatal."""

    def __init__(self, plugins: tuple[Path, ...] = ()) -> None:
        self._methods: dict[str, MethodSpec] = {}
        self._adapters: dict[str, Adapter] = {}
        self.broken: list[Broken] = []
        for name in TABLE_ORDER:
            self._add(importlib.import_module(f"baselines.methods.{name}"), "d3talker")
        for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
            self._try(entry, f"entry point {entry.name} ({entry.value})")
        for path in declared.files():
            self._try(path, str(path))
        for path in plugins:
            self._try(path, str(path))

    def __iter__(self) -> Iterator[MethodSpec]:
        return iter(self._methods.values())

    def get(self, name: str) -> MethodSpec:
        """The method called `name`; raises UserError that lists the names and any plug-in that failed."""
        if name in self._methods:
            return self._methods[name]
        failed = "".join(f"; {b.source} could not be loaded ({b.reason})" for b in self.broken)
        raise UserError(f"the method '{name}' is unknown; choose one of {', '.join(self._methods)}{failed}")

    def adapter(self, name: str) -> Adapter:
        """The adapter of the method called `name`; raises UserError as `get` does."""
        return self._adapters[self.get(name).name]

    def method(self, name: str) -> Method:
        """The method called `name` as it is trained here; raises UserError as `get` does, and where it cannot be trained."""
        how = self.adapter(name).train
        if isinstance(how, Skip):
            raise UserError(f"'{name}' is not trained here: {how.reason}; choose one of {', '.join(self.trainable())}")
        return how

    def trainable(self) -> list[str]:
        """Names of the methods that are trained here, in the order of the tables."""
        return [name for name, adapter in self._adapters.items() if not isinstance(adapter.train, Skip)]

    def _try(self, source: EntryPoint | Path, label: str) -> None:
        try:
            if isinstance(source, Path) and source.suffix == ".json":
                self._keep(declared.read(source), Adapter(), label)
            else:
                self._add(source.load() if isinstance(source, EntryPoint) else load_file(source), label)
        except Exception as error:  # a foreign module may raise anything; the others must still work
            self.broken.append(Broken(label, f"{type(error).__name__}: {error}"))

    def _add(self, module: ModuleType, label: str) -> None:
        spec = getattr(module, "SPEC", None)
        if not isinstance(spec, MethodSpec):
            raise UserError(f"{label} holds no SPEC of type baselines.spec.MethodSpec")
        adapter = getattr(module, "ADAPTER", Adapter())
        if not isinstance(adapter, Adapter):
            raise UserError(f"ADAPTER of {label} is no baselines.adapter.Adapter")
        self._keep(spec, adapter, label)

    def _keep(self, spec: MethodSpec, adapter: Adapter, label: str) -> None:
        if spec.name in self._methods:
            raise UserError(f"{label} defines '{spec.name}', which exists already; choose another name")
        self._methods[spec.name], self._adapters[spec.name] = spec, adapter


@lru_cache
def trained_here(name: str) -> Method:
    """The installed method called `name` as it is trained here; raises UserError as `Registry.method` does."""
    return Registry().method(name)


@lru_cache
def rows_here(name: str) -> Mapping[str, Row]:
    """The rows of the installed method called `name`, which is trained here."""
    trained_here(name)
    return Registry().get(name).rows


def load_file(path: Path) -> ModuleType:
    """Import a plug-in file that the user named.  Raises UserError when it does not exist."""
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file; give a Python file that defines SPEC")
    name = f"d3talker_plugin_{path.stem}"
    loader = importlib.util.spec_from_file_location(name, path)
    if loader is None or loader.loader is None:
        raise UserError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(loader)
    sys.modules[name] = module
    loader.loader.exec_module(module)
    return module


def methods(plugins: tuple[Path, ...] = ()) -> list[MethodSpec]:
    """All methods in the order of the tables."""
    return list(Registry(plugins))


def get(name: str, plugins: tuple[Path, ...] = ()) -> MethodSpec:
    """The method called `name`; raises UserError that lists the names."""
    return Registry(plugins).get(name)
