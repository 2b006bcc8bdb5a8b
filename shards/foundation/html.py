"""Self-contained HTML pages: images are part of the page, which needs no network."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

if TYPE_CHECKING:  # pages without plots do without matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg"}


def render(template: Path, **values: Any) -> str:
    """Return the page of a jinja2 template, which may include head.html of this folder.

    Args:
        template: the file of the template.
        values: its variables. Their text is escaped, so that no value is taken for markup.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template.name).render(**values)


def embed_figure(figure: Figure, form: str = "png", dpi: int | None = None) -> str:
    """Return a figure as a data URL, for the src of an img element.

    Args:
        figure: the figure.
        form: "png" or "jpeg".
        dpi: pixels per inch of the image; the figure's own by default.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format=form, dpi=dpi or figure.dpi)
    return embed_image(stream.getvalue(), form)


def embed_image(data: bytes, form: str = "png") -> str:
    """Return the bytes of an image file as a data URL, for the src of an img element."""
    return f"data:{MEDIA_TYPES[form]};base64," + base64.b64encode(data).decode()


def style_axes(axes: Axes, grid_opacity: float = 0.3) -> None:
    """Give axes a faint grid, and remove their lines at the top and at the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=grid_opacity)


def format_number(value: float | None, form: str) -> str:
    """Format a number, such as with the form "{:.2f}"; None and NaN become a dash."""
    return "–" if value is None or value != value else form.format(value)
