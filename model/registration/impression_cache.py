"""Cache of prepared impressions: the least recently used ones are dropped when it is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.registration.impression import PreparedImpression
from pipeline.imaging.resolution import ImageResolution


@dataclass(frozen=True)
class CacheParameters:
    """Size of an `ImpressionCache`."""

    # Pixels at 500 ppi of all cached impressions together, about 6 bytes each: 400 MB. Chosen.
    most_pixels: int = 2**26
    # Impressions that stay cached whatever their size: those of the current pair.
    least_impressions: int = 2


DEFAULT = CacheParameters()
Version = tuple[int, int] | None  # of a file: time of its last change in ns, and size
Key = tuple[Path, Version, ImageResolution | None]


class ImpressionCache:
    """Prepared impressions by file and resolution; a file that has changed is prepared again.

    Args:
        prepare: function that prepares the impression in a file at a resolution (None for
            the file's own), such as `Registrar.prepare_file`.
        parameters: size of the cache.
    """

    def __init__(
        self,
        prepare: Callable[[Path, ImageResolution | None], PreparedImpression],
        parameters: CacheParameters = DEFAULT,
    ) -> None:
        self._prepare, self._parameters = prepare, parameters
        self._impressions: OrderedDict[Key, PreparedImpression] = OrderedDict()
        self._pixels = 0

    def get(self, path: Path, known: ImageResolution | None) -> PreparedImpression:
        """Return the impression in a file, prepared now or earlier; Fault as `prepare` raises."""
        key = (path.absolute(), _version(path), known)
        if key not in self._impressions:
            self._impressions[key] = self._prepare(path, known)
            self._pixels += self._impressions[key].prepared.image.size
        self._impressions.move_to_end(key)
        self._drop_least_recent()
        return self._impressions[key]

    def _drop_least_recent(self) -> None:
        while (
            self._pixels > self._parameters.most_pixels
            and len(self._impressions) > self._parameters.least_impressions
        ):
            _, impression = self._impressions.popitem(last=False)
            self._pixels -= impression.prepared.image.size


def _version(path: Path) -> Version:
    """Return the version of a file; None where it is missing, which preparing it reports."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_mtime_ns, state.st_size
