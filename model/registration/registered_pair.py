"""What the library returns for two images: their registration, with the images beside it."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.registration import registration_file
from model.registration.dense_map import invert_map, sample_nearest, warp_image
from model.registration.distortion import DenseMap
from model.registration.result import Registration
from pipeline.imaging import file
from pipeline.imaging.file import Image
from shards.foundation.errors import Misuse
from shards.foundation.printable import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATCH = np.dtype(
    [(name, np.float32) for name in ("x_a", "y_a", "x_b", "y_b", "probability")]
)  # of `RegisteredPair.matches`
ImageSource = Image | Path | None  # the pixels, the file, or nothing after `RegisteredPair.load`


@dataclass(frozen=True, eq=False)
class RegisteredPair:
    """Two images A and B and their registration. All positions are (x, y) in px of the images.

    The centre of the top-left pixel is (0, 0), and y points down.

    Attributes:
        registration: the result that `model.registration` computes.
        source_a, source_b: the images, or where to read them again.
    """

    registration: Registration
    source_a: ImageSource = None
    source_b: ImageSource = None

    @property
    def map_ab(self) -> DenseMap:
        """Position in B of each pixel of A, float32 [H_a, W_a, 2]; NaN where there is none."""
        return self.registration.map_ab

    @property
    def score(self) -> float:
        """Probability that both images show one finger, where half of all pairs are genuine."""
        return self.registration.score

    @property
    def refusal(self) -> str:
        """Why there is no map; empty where there is one, and after `load`: no file holds it."""
        return self.registration.refusal

    @property
    def matches(self) -> NDArray[Any]:
        """Matches near the map, a structured array [K] of `MATCH`.

        Its fields are x_a, y_a, x_b, y_b and the probability that the match is right.
        """
        table = np.ascontiguousarray(self.registration.matches, np.float32)
        return table.view(MATCH)[:, 0]

    @property
    def sigma(self) -> NDArray[np.float32] | None:
        """Standard deviation of the map along each axis, float32 [H_a, W_a] in px of B.

        It holds where both images show one finger; NaN where the map is. None without a map, and
        for a network that states none.
        """
        return self.registration.sigma

    @property
    def angle_degrees(self) -> float:
        """Rotation from A to B, counter-clockwise as seen; NaN without a map.

        That of the similarity transform that the search found, not of one fitted to the map.
        """
        return float(np.degrees(self.registration.angle))

    @property
    def mapped_share(self) -> float:
        """Share of the pixels of A that the map covers."""
        return self.registration.mapped_share

    @property
    def ppi_a(self) -> float:
        """Resolution of A that was used."""
        return self.registration.resolutions[0].ppi

    @property
    def ppi_b(self) -> float:
        """Resolution of B that was used."""
        return self.registration.resolutions[1].ppi

    @property
    def image_a(self) -> Image:
        """A, uint8 [H_a, W_a] as stored; Misuse after `load`, Fault where its file is gone."""
        return _pixels(self.source_a, "image_a")

    @property
    def image_b(self) -> Image:
        """B, uint8 [H_b, W_b] as stored; see `image_a`."""
        return _pixels(self.source_b, "image_b")

    def inverse(self) -> RegisteredPair:
        """Return the registration from B to A: its `map_ab` leads from px of B to px of A."""
        a, b = self.registration.resolutions
        shape_b = self.registration.shape_b
        map_ba, sigma = invert_map(self.map_ab, shape_b), self.sigma
        if sigma is not None:
            sigma = sample_nearest(sigma, map_ba) * np.float32(a.ppi / b.ppi)
        inverse = dataclasses.replace(
            self.registration,
            map_ab=map_ba,
            sigma=sigma,
            matches=self.registration.matches[:, [2, 3, 0, 1, 4]],
            angle=-self.registration.angle,
            resolutions=(b, a),
            shape_b=self.map_ab.shape[:2],
        )
        return RegisteredPair(inverse, self.source_b, self.source_a)

    def warp(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Resample an image of B, or anything else in its frame, into the frame of A.

        Args:
            image: [H_b, W_b] or [H_b, W_b, C], numbers of any type.

        Returns:
            float32 [H_a, W_a] or [H_a, W_a, C]; NaN where nothing corresponds.

        Raises:
            Misuse: the image has another size than B.
        """
        image, expected = np.asarray(image), self.registration.shape_b
        if image.ndim not in (2, 3) or image.shape[:2] != expected:
            raise Misuse(f"warp: an array {list(image.shape)}; expected {list(expected)}, as B")
        return warp_image(image, self.map_ab)

    def plot(self, image_a: Image | None = None, image_b: Image | None = None) -> Figure:
        """Plot the matches, the ridges before and after registration, and the deformation.

        Args:
            image_a, image_b: the images; needed after `load` alone.

        Returns:
            A matplotlib figure; its `savefig` writes it to a file.

        Raises:
            Misuse: an image is missing, or has another size or type than the one registered.
        """
        from model.registration.plot import plot_registration

        image_a = self.image_a if image_a is None else image_a
        image_b = self.image_b if image_b is None else image_b
        _check_shown(image_a, self.map_ab.shape[:2], "A")
        _check_shown(image_b, self.registration.shape_b, "B")
        return plot_registration(image_a, image_b, self.registration)

    def save(self, path: str | Path) -> None:
        """Write an .npz file, the same as `densereg register`; Fault where it cannot be written."""
        self.registration.save(Path(path))

    @classmethod
    def load(cls, path: str | Path) -> RegisteredPair:
        """Read a file that `save` or `densereg register` wrote; it has no images.

        Raises:
            Misuse: there is no such file.
            Fault: the file is damaged, or of another version.
        """
        return cls(registration_file.load(Path(path)))

    def __repr__(self) -> str:
        """Return the main numbers, or why there is no map, in one line."""
        if not self.mapped_share:
            reason = f": {self.refusal}" if self.refusal else ""
            return f"<RegisteredPair: {self.registration.score_text}, no map{reason}>"
        return (
            f"<RegisteredPair: {self.registration.score_text}, {len(self.matches)} matches,"
            f" rotated by {self.angle_degrees:+.1f}°, {percent(self.mapped_share)} of A's frame"
            " mapped>"
        )

    def _repr_png_(self) -> bytes | None:
        """Return the plot, which notebooks show; None without the images."""
        if self.source_a is None or self.source_b is None:
            return None
        data = io.BytesIO()
        self.plot().savefig(data, format="png")
        return data.getvalue()


def _check_shown(image: Image, shape: tuple[int, ...], name: str) -> None:
    """Raise Misuse where an image is not uint8 of a shape (height, width)."""
    if image.shape != shape or image.dtype != np.uint8:
        raise Misuse(
            f"plot: {name} is an array {image.dtype} {list(image.shape)}; expected uint8"
            f" {list(shape)}, as registered"
        )


def _pixels(source: ImageSource, name: str) -> Image:
    """Return the pixels of an image, from its file if it came from one."""
    if source is None:
        raise Misuse(f"{name}: a registration that was loaded has no images; pass them to plot()")
    return file.load(source).stored if isinstance(source, Path) else source
