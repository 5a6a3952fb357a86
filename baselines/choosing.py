"""Which methods and preset a command line names, before tyro reads it: they decide which options there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, make_dataclass
from typing import Any, cast

from baselines.adapter import Skip
from baselines.recipe import Recipe
from baselines.registry import Registry, trained_here
from d3talker.errors import UserError
from d3talker.learning.contract import Preset


def given(args: Sequence[str], flag: str) -> list[str]:
    """The values behind a flag, up to the next one: "--methods a b" and "--methods=a"; the last such flag counts."""
    found: list[str] = []
    for index, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        if name == flag:
            found = [value] if equals else list(_values(args[index + 1:]))
    return found


def _values(args: Sequence[str]) -> Iterator[str]:
    for arg in args:
        if arg.startswith("--"):
            return
        yield arg


def preset_options(method: str, preset: str) -> Any:
    """A method's options at a preset.  Raises UserError for a method that is not trained here, and an unknown preset."""
    presets = trained_here(method).presets
    if preset not in presets:
        raise UserError(f"there is no preset '{preset}'; choose one of {', '.join(presets)}")
    return presets[preset]


def chosen(args: Sequence[str], flag: str, methods: Sequence[str], preset: Preset, all_trained: bool = False) -> tuple[Preset, Any]:
    """The preset that a command line names, and the options of the trained methods among those that `flag` names.

    methods, preset: where none is named.  Of one trained method, its options themselves; of several, one field a method.
    Raises UserError for an unknown preset, and with all_trained for a method that is not trained here.
    """
    wanted = given(args, flag) or methods
    for name in wanted if all_trained else ():
        trained_here(name)
    names = trained(wanted)
    named = (given(args, "--preset") or [preset])[0]
    return cast(Preset, named), options_of(names, {name: preset_options(name, named) for name in names})


def trained(methods: Sequence[str]) -> list[str]:
    """Those of `methods` that are trained here, each once; "all" is all of them.  Unknown names are left to others to refuse."""
    here = Registry().trainable()
    return here if "all" in methods else [name for name in dict.fromkeys(methods) if name in here]


def everyone(methods: Sequence[str]) -> tuple[str, ...]:
    """`methods`, with "all" as every method that runs in this process: trained ones, floors, plug-ins with a `run`."""
    if "all" not in methods:
        return tuple(dict.fromkeys(methods))
    registry = Registry()
    able = [spec.name for spec in registry if not isinstance(registry.adapter(spec.name).run, (Skip, Recipe))]
    return tuple(dict.fromkeys([*registry.trainable(), *able]))


def options_of(names: Sequence[str], options: Mapping[str, Any]) -> Any:
    """What `--model` reads: the options of the only method; of several, an object with one field each; of none, an empty one."""
    if len(names) == 1:
        return options[names[0]]
    fields = [(_field(name), type(options[name]), field(default=options[name])) for name in names]
    return make_dataclass("Options", fields, frozen=True)()


def by_method(names: Sequence[str], model: Any) -> dict[str, Any]:
    """Inverse of `options_of`."""
    return {name: model if len(names) == 1 else getattr(model, _field(name)) for name in names}


def _field(name: str) -> str:
    return name.replace("-", "_")
