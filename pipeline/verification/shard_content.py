"""Compare the images, maps and masks of a shard's records with each other, by their addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.foreground import Mask
from pipeline.imaging.warp import Array, Warp, apply_affine, invert_affine
from pipeline.pair_geometry import DEFAULT as GEOMETRY_PARAMETERS
from pipeline.pair_geometry import cell_centres, map_through
from pipeline.plan import PairPlan, ShardPlan
from pipeline.sources import generated
from pipeline.spec import PipelineSpec
from pipeline.verification import expected_view
from pipeline.verification.crop_agreement import find_disagreement
from pipeline.verification.expected_view import ViewParameters
from pipeline.verification.reference import CropOfImage, Reference
from pipeline.verification.segmented_crop import (
    SegmentedCrop,
    erode,
    segment_crop,
    shows_ridges,
)
from shards.record import Pair


@dataclass(frozen=True)
class ContentParameters:
    """Tolerances of the comparison of records."""

    map_steps: float = 1.5  # of 1 / 1024 px, between a map and its own warp; chosen: rounding
    fit_cells: int = 24  # visible cells from which a map is continued; chosen: 2 % of the grid
    # Cells around those that must be visible, so that a mask's edge does not matter. Chosen.
    edge_cells: int = 2
    # Share and number of the cells that must be visible, which may still be missing. Measured
    # (docs/LOG.md, 2026-11-29, "Lies in a set with correct checksums").
    missing_share: float = 0.1
    missing_cells: int = 4
    # Attempts at a synthesized image that are tried; chosen: a third one occurs once in 10⁵.
    attempts: int = 2
    view: ViewParameters = expected_view.DEFAULT


DEFAULT = ContentParameters()


class ShardContent:
    """References of a shard's images, and the checks of its records against them."""

    def __init__(
        self, shard: ShardPlan, spec: PipelineSpec, parameters: ContentParameters = DEFAULT
    ) -> None:
        self.shard, self.spec, self.parameters = shard, spec, parameters
        self.references: dict[int, Reference] = {}  # by the image's position in the plan
        self._warps_to_master: dict[tuple[int, int], Warp] = {}  # by position and attempt

    def add(self, number: int, pair: Pair, planned: PairPlan) -> Iterator[str]:
        """Take a record into the references; yield where its mask contradicts an earlier one.

        All records are added before the first one is checked.
        """
        none = np.zeros(pair.visible.shape, np.bool_)
        empty = Reference([], none, none.copy())
        reference = self.references.setdefault(planned.a, empty)
        crop = next((crop for crop in reference.crops if crop.is_of(pair)), None)
        if crop is None:
            crop = CropOfImage(number, pair.image_a.copy(), pair.to_original_a.copy())
            reference.crops.append(crop)
        crop.records += 1
        if planned.a == planned.b:
            yield from self._add_mask(reference, pair, planned)

    def check(self, pair: Pair, planned: PairPlan) -> Iterator[str]:
        """Check images, transforms and the map of a record against the references."""
        crop = self.references[planned.a].crop
        if not crop.is_of(pair):
            yield f"has another image_a or to_original_a than record {crop.number} of the image"
        reference = self.references.get(planned.b)
        if reference is None:
            return  # its absence is reported with the missing pairs
        if not np.array_equal(reference.crop.to_original, pair.to_original_b):
            yield f"has another to_original_b than record {reference.crop.number} of the image"
        warp = self._warp(planned)
        yield from self._check_view(pair, planned, reference, warp)
        if planned.a == planned.b:
            yield from self._check_own_map(pair, reference, warp)
        elif pair.genuine:
            yield from self._check_two_impressions(
                pair, planned, self.references[planned.a], reference, warp
            )

    def count_polarities(self) -> Counter[str]:
        """Return the number of images by the polarity of their crop."""
        references = self.references.values()
        return Counter(self._segment(reference).polarity.name for reference in references)

    def _segment(self, reference: Reference) -> SegmentedCrop:
        if reference.segmented is None:
            reference.segmented = segment_crop(reference.crop.image, self.spec)
        return reference.segmented

    def is_explained(self, planned: PairPlan) -> bool:
        """Return whether a planned pair may be missing because nothing of it is visible."""
        address = planned.address
        if address.kind == "impostor":
            return False
        if address.kind == "genuine-impressions":
            return True  # counted, see `pipeline.verification.verification`
        reference = self.references.get(planned.a)
        _, inside = expected_view.map_of_one_image(self._warp(planned), self.spec)
        return reference is not None and not (inside & reference.known & reference.on_finger).any()

    def _warp(self, planned: PairPlan) -> Warp:
        return expected_view.warp_of(planned.address, self.shard.partition, self.spec)

    def _add_mask(self, reference: Reference, pair: Pair, planned: PairPlan) -> Iterator[str]:
        _, inside = expected_view.map_of_one_image(self._warp(planned), self.spec)
        if (pair.visible & ~inside).any():
            yield f"has {int((pair.visible & ~inside).sum())} visible cells outside of image B"
        both = inside & reference.known
        if different := int((both & (pair.visible != reference.on_finger)).sum()):
            yield f"has {different} visible cells otherwise than earlier pairs of the image"
        reference.on_finger |= pair.visible & inside & ~reference.known
        reference.known |= inside

    def _check_view(
        self, pair: Pair, planned: PairPlan, reference: Reference, warp: Warp
    ) -> Iterator[str]:
        parameters = self.parameters.view
        whole, quadrants = expected_view.resemblance(
            pair.image_b,
            reference.crop.image,
            planned.address,
            self.shard.partition,
            warp,
            self.spec,
            parameters,
        )
        lowest = min(quadrants, default=whole)
        if whole < parameters.floor or lowest < parameters.floor_quadrant:
            yield (
                f"has an image_b that is not {pair.image_id_b!r:.80} with its noise and warp:"
                f" correlation {whole:.2f}, {lowest:.2f} in the worst quadrant"
            )

    def _check_own_map(self, pair: Pair, reference: Reference, warp: Warp) -> Iterator[str]:
        positions, inside = expected_view.map_of_one_image(warp, self.spec)
        yield from self._compare_visible(pair, inside & self._segment(reference).on_finger)
        error = np.abs(pair.map_ab - positions)[pair.visible].max(initial=0.0)
        if error > self.parameters.map_steps / GEOMETRY_PARAMETERS.map_steps:
            yield f"has a map that is off by up to {error:.2f} px from its own warp"

    def _check_two_impressions(
        self, pair: Pair, planned: PairPlan, a: Reference, b: Reference, warp: Warp
    ) -> Iterator[str]:
        """Check the map of two impressions where it is known, and the visible cells.

        Where the map is not known, it is continued from the visible cells by an affine map.
        """
        if (pair.visible & a.known & ~a.on_finger).any():
            yield "has visible cells that are not on the finger in other pairs of image A"
        cells = cell_centres(self.spec)
        if self.shard.images[planned.a].generator_address is not None:
            in_crop_b, error = self._map_of_generated(pair, planned, a, b, warp)
            if error > self.parameters.map_steps / GEOMETRY_PARAMETERS.map_steps:
                yield f"has a map that is off by up to {error:.2f} px from the generator's"
                return
        elif pair.visible.sum() >= self.parameters.fit_cells:
            yield from self._check_agreement(pair, b, warp)
            in_crop_b = warp(pair.map_ab[pair.visible].astype(np.float64))
            in_crop_b = _continue_affinely(cells[pair.visible], in_crop_b, cells)
        else:
            return
        yield from self._check_visible(pair, a, b, in_crop_b, warp)

    def _check_agreement(self, pair: Pair, b: Reference, warp: Warp) -> Iterator[str]:
        """Check the map of two impressions by their crops, where these show ridges."""
        if not shows_ridges(self.spec):
            return
        if worst := find_disagreement(pair, b.crop.image, warp):
            yield (
                f"has a map that is wrong in a quadrant: correlation {worst.correlation:.2f} of"
                f" both crops by the map, {worst.best:.2f} at a shift of {worst.shift:.1f} px"
            )

    def _map_of_generated(
        self, pair: Pair, planned: PairPlan, a: Reference, b: Reference, warp: Warp
    ) -> tuple[Array, float]:
        """Return A's cells in the crop of B [G, G, 2], and the largest error of the map in px.

        It is not known in which attempt an image was synthesized: those that agree best count.
        """
        tolerance = self.parameters.map_steps / GEOMETRY_PARAMETERS.map_steps
        results: list[tuple[float, Array]] = []
        for attempt_a, attempt_b in product(range(self.parameters.attempts), repeat=2):
            to_master_a = self._to_master(planned.a, attempt_a)
            to_master_b = self._to_master(planned.b, attempt_b)
            on_master = to_master_a(apply_affine(a.crop.to_original, cell_centres(self.spec)))
            in_file_b = to_master_b.inverse(on_master)
            in_crop_b = apply_affine(invert_affine(b.crop.to_original), in_file_b)
            positions, _ = map_through(warp, in_crop_b, self.spec)
            error = float(np.abs(pair.map_ab - positions)[pair.visible].max(initial=0.0))
            results.append((error, in_crop_b))
            if error <= tolerance:
                break
        error, in_crop_b = min(results, key=lambda result: result[0])
        return in_crop_b, error

    def _to_master(self, position: int, attempt: int) -> Warp:
        key = position, attempt
        if key not in self._warps_to_master:
            image = self.shard.images[position]
            self._warps_to_master[key] = generated.to_master(image, attempt)
        return self._warps_to_master[key]

    def _check_visible(
        self, pair: Pair, a: Reference, b: Reference, in_crop_b: Array, warp: Warp
    ) -> Iterator[str]:
        """Compare the visible cells of two impressions with the masks of both images.

        Args:
            pair: the pair.
            a, b: references of both images.
            in_crop_b: positions (x, y) of A's cells in the crop of B [G, G, 2].
            warp: of image B.
        """
        _, inside = map_through(warp, in_crop_b, self.spec)
        expected = self._segment(a).on_finger & erode(inside, self.parameters.edge_cells)
        expected &= self._on_mask(self._segment(b).on_finger, in_crop_b)
        yield from self._compare_visible(pair, expected)

    def _compare_visible(self, pair: Pair, expected: Mask) -> Iterator[str]:
        """Compare the visible cells with those [G, G] that both images surely show."""
        missing, total = int((expected & ~pair.visible).sum()), int(expected.sum())
        limit = max(self.parameters.missing_cells, self.parameters.missing_share * total)
        if missing > limit:
            yield f"has {missing} of {total} cells not visible that both images show"

    def _on_mask(self, mask: Mask, points: Array) -> Mask:
        """Return whether points (x, y) [..., 2] of a crop are in cells of a mask [G, G]."""
        stride = self.spec.size // self.spec.grid
        column, row = np.moveaxis(np.floor((points + 0.5) / stride).astype(np.intp), -1, 0)
        cells = len(mask)
        valid = (column >= 0) & (column < cells) & (row >= 0) & (row < cells)
        return np.asarray(valid & mask[np.where(valid, row, 0), np.where(valid, column, 0)])


def _continue_affinely(points: Array, images: Array, everywhere: Array) -> Array:
    """Fit an affine map to points [N, 2] and their images [N, 2]; apply it to [..., 2]."""
    ones = np.ones((len(points), 1))
    matrix = np.linalg.lstsq(np.hstack([points, ones]), images, rcond=None)[0]
    result: NDArray[np.float64] = everywhere @ matrix[:2] + matrix[2]
    return result
