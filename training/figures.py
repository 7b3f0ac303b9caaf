"""Pictures for a person: image grids and curves, the same bytes for the same numbers.

Images are (n, channels, height, width) in [0, 1], one or three channels. Every function writes
one PNG. matplotlib is loaded here alone, without pyplot and its global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Images = npt.NDArray[Any]
Line = tuple[npt.ArrayLike, npt.ArrayLike]

TRAIN, VALIDATION = "#0072b2", "#d55e00"  # blue and vermillion: told apart by every eye
_INK, _FAINT = "#222222", "#bbbbbb"
_TILE_INCHES = 0.34
_DECADES = 16
"""Of p-values that are drawn: below 1e-16 all are as small."""
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": _INK,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "savefig.dpi": 160,
}


def samples(path: Path, real: Images, drawn: Images, columns: int = 8) -> None:
    """Put held-out images and generated ones side by side, as many of each."""
    shown = min(len(real), len(drawn), columns * columns)
    with rc_context(_STYLE):
        rows = -(-shown // columns)
        figure = Figure((2 * columns * _TILE_INCHES + 0.5, rows * _TILE_INCHES + 0.35))
        for place, (title, images) in enumerate((("Held-out images", real), ("Samples", drawn))):
            _show(figure.add_subplot(1, 2, place + 1), images[:shown], columns, title)
        _save(figure, path, {"wspace": 0.06})


def reconstructions(path: Path, originals: Images, rebuilt: Images, columns: int = 12) -> None:
    """Put each held-out image over its reconstruction, two bands of them."""
    with rc_context(_STYLE):
        bands = max(1, min(2, len(originals) // columns))
        figure = Figure((columns * _TILE_INCHES + 0.9, bands * 2.5 * _TILE_INCHES))
        for band in range(bands):
            rows = slice(band * columns, (band + 1) * columns)
            axes = figure.add_subplot(bands, 1, band + 1)
            tiles = np.concatenate([originals[rows], rebuilt[rows]])
            _show(axes, tiles, len(originals[rows]))
            _name_rows(axes, ["original", "rebuilt"], tiles.shape[2])
        _save(figure, path, {"hspace": 0.12})


def interpolation(path: Path, walks: Images) -> None:
    """One row per walk (walks, steps, c, h, w) from one held-out image to another."""
    count, steps = walks.shape[:2]
    with rc_context(_STYLE):
        figure = Figure((steps * _TILE_INCHES + 0.1, count * _TILE_INCHES + 0.35))
        title = "Between the latents of two held-out images"
        _show(figure.add_subplot(), walks.reshape(-1, *walks.shape[2:]), steps, title)
        _save(figure, path)


def curves(
    path: Path, panels: Mapping[str, Mapping[str, Line]], x_label: str, best: float | None = None
) -> None:
    """Draw one panel per quantity, its train and validation lines in it.

    ``panels`` maps "Title [unit]" to {"train": (x, y), "validation": (x, y)}; ``best`` marks the
    x whose weights were kept.
    """
    with rc_context(_STYLE):
        figure = Figure((2.9 * len(panels) + 0.2, 2.3))
        for place, (title, lines) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), place + 1)
            for label, (x, y) in lines.items():
                colour = VALIDATION if label.startswith("validation") else TRAIN
                axes.plot(x, y, color=colour, label=label)
            if best is not None:
                axes.axvline(best, color=_FAINT, linewidth=0.8, ls="--", zorder=0, label="kept")
            axes.set_title(title)
            axes.set_xlabel(x_label)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.margins(x=0.02)
            _focus(axes, lines)
        figure.axes[0].legend()
        _save(figure, path, {"wspace": 0.28})


def drift(
    path: Path,
    bars: Sequence[tuple[str, float, float | None, float | None]],
    significance: float,
    psi: float,
    typical: Images,
    strange: Images,
    columns: int = 12,
) -> None:
    """Draw tests as bars over their limits, and images of the reference beside strange ones.

    ``bars`` are (name, adjusted p-value, psi, psi of the anchor); without psi there is none.
    """
    places, names = np.arange(len(bars)), [name for name, *_ in bars]
    decades = [-np.log10(max(p, 10.0**-_DECADES)) for _, p, *_ in bars]
    colours = [TRAIN if p > significance else VALIDATION for _, p, *_ in bars]
    far, usual = (np.array([each[at] for each in bars], float) for at in (2, 3))  # None is nan
    tiles = -(-max(len(typical), len(strange)) // columns) * _TILE_INCHES
    with rc_context(_STYLE):
        figure = Figure((2 * columns * _TILE_INCHES, 4.2 + tiles))
        grid = figure.add_gridspec(4, 2, height_ratios=(1.4, 1.4, 0.4, tiles), wspace=0.04)
        upper, lower = (figure.add_subplot(grid[row, :]) for row in (0, 1))
        _limited(upper, decades, colours, -np.log10(significance))
        upper.set_title(
            f"-log10 of the adjusted p-value; above the line, {significance:g}: drifted"
        )
        upper.set_xticks(places, [""] * len(names))
        _limited(lower, far, colours, psi)
        lower.plot(places, usual, ls="", marker="_", color=_INK, label="halves of the reference")
        lower.set_title(f"Population stability index; above the line, {psi:g}: far")
        lower.set_xticks(places, names, rotation=90, fontsize=6)
        lower.legend()
        shown = {"Reference, by chance": typical, "Recent, the strangest": strange}
        for place, (title, images) in enumerate(shown.items()):
            _show(figure.add_subplot(grid[3, place]), images, columns, title)
        _save(figure, path, {"hspace": 0.3})


def _limited(axes: Axes, values: npt.ArrayLike, colours: Sequence[str], limit: float) -> None:
    axes.bar(np.arange(len(colours)), values, color=colours)
    axes.axhline(limit, color=_INK, linewidth=0.8, ls="--")
    axes.set_xlim(-0.7, len(colours) - 0.3)


def tile(images: Images, columns: int) -> Images:
    """Lay images out row by row in one (height, width, channels), a white pixel between them."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    sheet = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for i, image in enumerate(images):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet


def _show(axes: Axes, images: Images, columns: int, title: str = "") -> None:
    sheet = tile(images, columns)
    grey = sheet.shape[2] == 1
    axes.imshow(
        sheet[..., 0] if grey else sheet, cmap="gray" if grey else None, vmin=0, vmax=1,
        interpolation="nearest",
    )  # fmt: skip
    axes.set_axis_off()
    axes.set_title(title)


def _name_rows(axes: Axes, names: Sequence[str], height: int) -> None:
    for i, name in enumerate(names):
        middle = i * (height + 1) + (height - 1) / 2
        axes.text(-1.5, middle, name, ha="right", va="center")


def _focus(axes: Axes, lines: Mapping[str, Line]) -> None:
    """Let the first steps, far above all others, run out of the picture rather than flatten it."""
    y = np.concatenate([np.asarray(values, float) for _, values in lines.values()])
    y = y[np.isfinite(y)]
    if len(y) > 20:
        low, high = y.min(), np.quantile(y, 0.97)
        if y.max() > high + (high - low):
            axes.set_ylim(low - 0.05 * (high - low), high + 0.25 * (high - low))


def _save(figure: Figure, path: Path, spacing: Mapping[str, float] | None = None) -> None:
    figure.subplots_adjust(**(spacing or {}))
    FigureCanvasAgg(figure)
    # No library version and no date: the same picture is the same file.
    figure.savefig(
        path, format="png", bbox_inches="tight", pad_inches=0.06, metadata={"Software": None}
    )
