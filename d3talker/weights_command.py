"""`d3talker weights list | fetch`: other people's network weights, what each is for, and getting them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from d3talker.errors import UserError
from d3talker.weights import FILES, GROUPS, MissingWeights, WeightFile, cache_folder, fetch, find_weights

WHAT = f"Any of {', '.join(FILES)}; or lpips (AlexNet's), sync (SyncNet's two), all (every one that may be fetched)."


@dataclass(frozen=True)
class ListConfig:
    """What each file is for, its size and licence, and where it was found, or comes from."""


@dataclass(frozen=True)
class FetchConfig:
    """Download files that are missing into the cache, checked; a broken download goes on where it stopped."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(help=WHAT)]


@dataclass(frozen=True)
class WeightsConfig:
    """Other people's network weights.  $D3TALKER_WEIGHTS names a folder of yours, $D3TALKER_MIRROR an address to ask first."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[ListConfig, tyro.conf.subcommand("list", prefix_name=False)]
        | Annotated[FetchConfig, tyro.conf.subcommand("fetch", prefix_name=False)]
    ]


def run(config: WeightsConfig) -> int:
    """Returns 0, or 1 when a file could not be fetched.  Raises UserError for an unknown name."""
    if isinstance(config.command, ListConfig):
        _print_list()
        return 0
    names = chosen(config.command.names)
    return 1 if fetch_all(names) else 0


def chosen(words: tuple[str, ...]) -> list[str]:
    """Names of files for names and groups, each once.  Raises UserError naming the first unknown one."""
    names: list[str] = []
    for word in words:
        if word not in FILES and word not in GROUPS:
            raise UserError(f"there are no weights called '{word}'; choose from {', '.join([*FILES, *GROUPS])}")
        names += GROUPS.get(word, (word,))
    if not names:
        raise UserError(f"nothing is named; choose from {', '.join([*FILES, *GROUPS])}")
    return list(dict.fromkeys(names))


def fetch_all(names: list[str]) -> dict[str, str]:
    """Fetch what is missing, one after the other, and say how it went; returns what failed, with the reason."""
    from d3talker.progress import say

    failed: dict[str, str] = {}
    for name in names:
        try:
            say(f"{name}: {located(name) or fetch(name)}")
        except UserError as error:
            failed[name] = str(error)
            say(f"{name}: {error}")
    return failed


def located(name: str) -> Path | None:
    """Where the file is, None where it is missing.  Raises UserError when it is not the published one."""
    try:
        return find_weights(name)
    except MissingWeights:
        return None


def size(file: WeightFile) -> str:
    """Megabytes in words."""
    return f"{file.megabytes:.0f} MB" if file.megabytes else "-"


def _print_list() -> None:
    """Three lines a file, which no terminal is too narrow for."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    for name, file in FILES.items():
        try:
            path = located(name)
            place = Text(str(path), "green") if path else Text(f"missing; from {file.url}", "yellow")
        except UserError as error:
            place = Text(str(error), "red")
        console.print(Text.assemble((f"{name:<12}", "bold"), f"{size(file):>7}  {file.purpose}"))
        for text in (Text(file.licence), place):
            console.print(Text(" " * 21).append_text(text))
    console.print(Text(f"d3talker weights fetch NAME... | lpips | sync | all   puts files into {cache_folder()}"))
