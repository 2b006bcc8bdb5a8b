"""Self-contained pages: images lie in the page itself, which opens without a network."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MEDIA = {"png": "image/png", "jpeg": "image/jpeg"}


def render(template: Path, **values: Any) -> str:
    """The page of a template that includes head.html; nothing in `values` is markup."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return pages.get_template(template.name).render(**values)


def drawn(figure: Figure, form: str = "png", dpi: int | None = None) -> str:
    """A figure as the address of an image in a page."""
    stream = io.BytesIO()
    figure.savefig(stream, format=form, dpi=dpi or figure.dpi)
    return inline(stream.getvalue(), form)


def inline(data: bytes, form: str = "png") -> str:
    """The bytes of an image as its address in a page."""
    return f"data:{MEDIA[form]};base64," + base64.b64encode(data).decode()


def plain(axes: Axes) -> None:
    """Axes without a box, with a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)


def said(value: float | None, form: str) -> str:
    """A figure in a format; a dash where it is undefined."""
    return "–" if value is None or value != value else form.format(value)
