"""Dense registration of fingerprints.

    import densereg

    pair = densereg.register("a.png", "b.png")
    pair.score, pair.map_ab, pair.matches

docs/API.md describes the library with examples. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import SHIPPED
from shards.foundation.errors import Fault, Misuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.network.features import FeatureNetwork
    from model.registration.aligned_crops import AlignedCrops
    from model.registration.impression import PreparedImpression
    from model.registration.registered_pair import RegisteredPair
    from shards.batch import PairSequence
    from train.image_arguments import ImageLike, ImageSource

__all__ = [
    "AlignedCrops",
    "Fault",
    "FeatureNetwork",
    "Misuse",
    "PairSequence",
    "RegisteredPair",
    "Registrar",
    "aligned_crops",
    "crop_image",
    "evaluate_maps",
    "foreground",
    "open_shards",
    "register",
]


def register(
    a: ImageLike,
    b: ImageLike,
    ppi_a: float | None = None,
    ppi_b: float | None = None,
    checkpoint: str | Path | None = None,
) -> RegisteredPair:
    """Register image A with image B: a dense map, a score, matches.

    Args:
        a, b: image files, or pixels uint8 [H, W].
        ppi_a, ppi_b: resolutions; needed for pixels. For a file None is that of its tag, else the
            ridge period decides, as in `densereg register`.
        checkpoint: network, a .safetensors file; the one that ships by default.

    Raises:
        Misuse: an argument cannot be used.
        Fault: an image cannot be read, shows no finger, or A and B are one file.
    """
    path = SHIPPED if checkpoint is None else Path(checkpoint)
    state = path.stat() if path.exists() else None
    version = (state.st_mtime_ns, state.st_size) if state else None
    return _load_registrar(path, version).register(a, b, ppi_a, ppi_b)


class Registrar:
    """A network that registers any number of pairs and prepares each image file once.

    Args:
        checkpoint: network, a .safetensors file; the one that ships by default.

    Raises:
        Misuse: the checkpoint does not exist.
        Fault: it cannot be used.
    """

    def __init__(self, checkpoint: str | Path | None = None) -> None:
        from model.registration.impression_cache import ImpressionCache
        from model.registration.registrar import Registrar as NetworkRegistrar

        path = SHIPPED if checkpoint is None else Path(checkpoint)
        self._registrar = NetworkRegistrar(path)
        self._files = ImpressionCache(self._registrar.prepare_file)

    def register(
        self, a: ImageLike, b: ImageLike, ppi_a: float | None = None, ppi_b: float | None = None
    ) -> RegisteredPair:
        """Register image A with image B; see `densereg.register`.

        A file that was prepared for an earlier pair is not read again unless it has changed.
        """
        from model.registration.registered_pair import RegisteredPair
        from model.registration.registrar import require_two_files
        from train.image_arguments import check_image

        source_a, source_b = check_image(a, "a"), check_image(b, "b")
        if isinstance(source_a, Path) and isinstance(source_b, Path):
            require_two_files(source_a, source_b)
        first = self._prepare(source_a, ppi_a, "a")
        second = self._prepare(source_b, ppi_b, "b")
        registration = self._registrar.register_impressions(first, second)
        return RegisteredPair(registration, source_a, source_b)

    def _prepare(self, source: ImageSource, ppi: float | None, name: str) -> PreparedImpression:
        """Prepare one image of a pair, or return it from the cache."""
        from train.image_arguments import open_image, stated_resolution, warn_of_doubtful

        known = stated_resolution(ppi, f"ppi_{name}")
        if isinstance(source, Path):
            impression = self._files.get(source, known)
            warn_of_doubtful(impression.resolution, str(source), f"ppi_{name}")
            return impression
        image, resolution = open_image(source, known, name, f"ppi_{name}")
        return self._registrar.prepare_image(image, resolution, f"image {name}")


def foreground(image: ImageLike, ppi: float | None = None) -> NDArray[np.bool_]:
    """Segment the finger in an image.

    Args:
        image: an image file, or pixels uint8 [H, W].
        ppi: its resolution; see `register`.

    Returns:
        bool [H, W], true on the finger, in px of the image as stored.

    Raises:
        Misuse, Fault: see `register`.
    """
    return _prepare_alone(image, ppi).foreground


def crop_image(
    image: ImageLike, network: FeatureNetwork, ppi: float | None = None
) -> NDArray[np.uint8]:
    """Cut the crop that a network gets of an image: around the finger, with dark ridges.

    Args:
        image: an image file, or pixels uint8 [H, W].
        network: that will get the crop.
        ppi: resolution of the image; see `register`.

    Returns:
        uint8 [S, S].

    Raises:
        Misuse, Fault: see `register`.
    """
    from pipeline.imaging.cropping import extract_crop

    geometry = network.geometry
    return extract_crop(_prepare_alone(image, ppi).prepared, geometry.crop, geometry.size).image


def aligned_crops(pair: RegisteredPair, network: FeatureNetwork) -> AlignedCrops:
    """Cut the crops that a network gets of a registered pair, B resampled onto A.

    Args:
        pair: the pair with its images: not one of `RegisteredPair.load`.
        network: that will get the crops.

    Returns:
        `image_a` and `image_b` uint8 [S, S], and `common` bool [S, S], where both show the finger.

    Raises:
        Misuse: the pair has no map or no images.
        Fault: an image file cannot be read again.
    """
    from model.registration.aligned_crops import align_crops

    return align_crops(pair, network.geometry)


def open_shards(directory: str | Path, split: str = "train") -> PairSequence:
    """Open the pairs of one split of a shard set, as numpy arrays for any framework.

    Needs the extra "shards".

    Args:
        directory: folder of the set.
        split: "train", "val" or "test".

    Returns:
        A sequence of pairs: len(), indexing, `batch`, `batches` and `record`.

    Raises:
        Misuse: there is no set, or array_record is not installed.
        Fault: the set has faults.
    """
    from shards.foundation.extras import report_missing

    with report_missing():
        from shards.batch import PairSequence
        from shards.store import open_set

        return PairSequence(open_set(Path(directory)), split)


def evaluate_maps(
    maps: Sequence[NDArray[np.floating[Any]]],
    truth: Sequence[NDArray[np.floating[Any]]] | None = None,
    minutiae: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None,
    ppi_b: float | Sequence[float] = 500.0,
    ppi_a: float | Sequence[float] = 500.0,
) -> dict[str, float]:
    """Measure the dense maps of any method, by true maps or by reference minutiae.

    Args:
        maps: `map_ab` of each pair, [H_a, W_a, 2]; NaN where nothing corresponds.
        truth: the true map of each pair, NaN where nothing corresponds.
        minutiae: instead of the truth: minutiae of A [N, 4] and of B [M, 4] of each pair, x, y,
            direction in radians counter-clockwise as seen, quality; of a program that took no part
            in registration.
        ppi_b: resolution of the images B, of all or of each.
        ppi_a: with `minutiae`: resolution of the images A, of all or of each.

    Returns:
        With `truth`: "pairs", "coverage", "epe_median" and "epe_mean" (px at 500 ppi), "pck@2",
        "pck@4" and "pck@8". With `minutiae`: "pairs", "confirmed", "oracle", "aligned" and
        "residual". docs/API.md defines them; intervals are computed by `densereg evaluate` alone.

    Raises:
        Misuse: not exactly one of `truth` and `minutiae`, or arrays that do not fit.
    """
    from train.evaluation import map_accuracy

    if minutiae is None and truth is not None:
        return map_accuracy.by_truth(maps, truth, ppi_b)
    if minutiae is None or truth is not None:
        raise Misuse("evaluate_maps: expected one of truth and minutiae")
    return map_accuracy.by_minutiae(maps, minutiae, ppi_a, ppi_b)


def __getattr__(name: str) -> Any:
    """Import the classes, and read the version, when they are used."""
    if name == "FeatureNetwork":
        from model.network.features import FeatureNetwork

        return FeatureNetwork
    if name == "AlignedCrops":
        from model.registration.aligned_crops import AlignedCrops

        return AlignedCrops
    if name == "RegisteredPair":
        from model.registration.registered_pair import RegisteredPair

        return RegisteredPair
    if name == "PairSequence":
        from shards.foundation.extras import report_missing

        with report_missing():
            from shards.batch import PairSequence

            return PairSequence
    if name == "__version__":
        from importlib.metadata import version

        return version("denseregistration")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return [*__all__, "__version__"]


def _prepare_alone(image: ImageLike, ppi: float | None) -> PreparedImpression:
    """Prepare one image without a network; Misuse and Fault as `register`."""
    from model.registration.impression import prepare_impression
    from train.image_arguments import check_image, open_image, stated_resolution

    source = check_image(image, "image")
    content, resolution = open_image(source, stated_resolution(ppi, "ppi"), "image", "ppi")
    name = str(source) if isinstance(source, Path) else "image"
    return prepare_impression(content, resolution, name)


@functools.lru_cache(1)
def _load_registrar(checkpoint: Path, version: tuple[int, int] | None) -> Registrar:
    """Load a network; `version` changes with its file."""
    return Registrar(checkpoint)
