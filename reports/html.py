"""Cell grids, figures, clips and records -> the HTML report; everything goes through jinja2 with autoescape on."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from d3talker.files import write_text
from reports.grid import Cell, Column, number, spread
from reports.load import slug
from reports.plots import INK

ASSETS = ("report.css", "report.js")


@cache
def environment() -> Environment:
    """The templates, with the filters that they use."""
    jinja = Environment(
        loader=PackageLoader("reports", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(number=number, spread=spread, slug=slug, target=target)
    return jinja


def target(cell: Cell, row_name: str, grid_name: str, column: Column) -> str:
    """Where a number leads: to its record, or to the page that lists the records behind a mean."""
    if len(cell.records) == 1:
        return f"records/{cell.records[0]}.html#{column.metric}"
    return f"traces/{slug(f'{grid_name}-{row_name}')}.html#{slug(column.name)}"


def inline_svg(path: Path) -> Markup:
    """A drawing of ours to stand inside a page: its ink follows the page's colour, its ids are its own."""
    text = path.read_text("utf-8")
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL).replace(INK, "currentColor")
    used = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', text))
    text = re.sub(r' id="([\w.-]+)"', lambda found: f' id="{found[1]}"' if found[1] in used else "", text)
    return Markup(text)  # noqa: S704 - matplotlib wrote it and escaped every label


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render one page."""
    write_text(path, environment().get_template(template).render(**values))


def write_assets(folder: Path) -> None:
    """Copy style and script next to the pages."""
    jinja = environment()
    assert jinja.loader is not None
    for name in ASSETS:
        write_text(folder / name, jinja.loader.get_source(jinja, name)[0])
