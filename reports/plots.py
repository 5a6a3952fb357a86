"""How every figure is drawn: one style, written as SVG, PDF and PNG, without a display and without dates inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d3talker.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#2b2d33"
# Okabe and Ito's colours: told apart by colour-blind readers, dark enough on white and light enough on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8d96", "#b2a800")
MARKERS = "osD^vPX*"
SUFFIXES = ("svg", "pdf", "png")
STYLE: Any = {
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": INK, "axes.labelcolor": INK,
    "axes.facecolor": "none", "text.color": INK, "xtick.color": INK, "ytick.color": INK, "axes.linewidth": 0.7,
    "xtick.major.width": 0.7, "ytick.major.width": 0.7,
    "legend.frameon": False, "svg.fonttype": "none", "pdf.fonttype": 42, "text.parse_math": False,
    "axes.grid": True, "grid.color": "#9aa0a8", "grid.alpha": 0.25, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False, "axes.unicode_minus": True,
}


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure (inches); on success write path.svg, .pdf and .png, the same bytes for the same data."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metadata: dict[str, dict[str, object]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    with mpl.rc_context({**STYLE, "svg.hashsalt": path.name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not again for every format
        for suffix in SUFFIXES:
            with atomic_path(path.parent / f"{path.name}.{suffix}") as temporary:
                figure.savefig(
                    temporary, format=suffix, metadata=metadata[suffix], dpi=200,
                    facecolor="white" if suffix == "png" else "none",
                )
