"""Errors that a user can mend: one sentence that says what, where, and what to do."""

from __future__ import annotations

import importlib
from types import ModuleType


class UserError(Exception):
    """Bad input or a missing piece; the CLI prints the message alone and exits with code 2."""


class MissingExtra(UserError):
    """An optional dependency is absent; the message holds its install command."""

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs '{module}', which is not installed; in the d3talker checkout run: pip install '.[{extra}]'"
        )
        self.module, self.extra = module, extra


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module, or raise MissingExtra naming the extra that brings it.

    An installed module that itself fails to import is reported as such, not as missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise MissingExtra(module, extra, purpose) from None
        raise UserError(f"{purpose} needs '{module}', whose own import fails: no module named '{error.name}'") from error
    except (ImportError, OSError) as error:
        raise UserError(f"{purpose} needs '{module}', whose import fails: {error}") from error
