"""Manipulated shard sets with correct checksums: each lie changes what records say, not their form.

A lie takes the pairs of a set (shard name → pairs) and returns others; `tell` writes them with a
correct manifest, so that only their meaning can betray them. Every function changes what it can of
`pairs` in place and returns the (shard, number) of the records it changed, after the change.
"""

import math
import shutil
from dataclasses import replace

import numpy as np

from shards import manifest, provenance, shard_file, store
from shards.record import decode, encode

STEP = 5  # lies about single records change every fifth


def load(directory):
    """Return shard name → pairs of a set."""
    shards = store.open_set(directory)
    return {
        entry.name: [
            decode(data) for data in shards.read(split, range(start, start + entry.records))
        ]
        for split in manifest.SPLITS
        for start, entry in shards.shard_starts(split)
    }


def tell(directory, out, lie):
    """Write the set in `directory` to `out` after a lie, with correct checksums.

    Returns:
        The records that were changed, as (shard name, number); of records that were removed none.
    """
    original = store.load_manifest(directory)
    pairs = load(directory)
    changed = lie(pairs)
    entries = [
        shard_file.write_shard(out / name, map(encode, items)) for name, items in pairs.items()
    ]
    images = {
        name: provenance.read(directory, name, part.source_hash, part.images)
        for name, part in original.partitions.items()
    }
    store.write_sources(out, images)
    if (directory / "quarantine.jsonl").exists():
        shutil.copy(directory / "quarantine.jsonl", out)
    store.write_manifest(out, manifest.assemble(original.spec, images, entries))
    return changed


def _change(pairs, applies, change, step=STEP):
    """Replace every `step`-th pair that `applies` by change(pair, name, number), unless None."""
    places = [(n, k) for n, items in pairs.items() for k, p in enumerate(items) if applies(p)]
    new = {(name, k): change(pairs[name][k], name, k) for name, k in places[::step]}
    for (name, k), pair in new.items():
        pairs[name][k] = pair or pairs[name][k]
    return [place for place, pair in new.items() if pair]


def _genuine(pair):
    return pair.genuine


def _two(pair):
    return pair.kind == "genuine-impressions"


def _one(pair):
    return pair.kind == "genuine"


def _impostor(pair):
    return not pair.genuine


def _any(_):
    return True


def _other(pairs, name, number, condition):
    """Return the next pair of the shard that meets a condition; None where there is none."""
    items = pairs[name]
    others = (items[(number + k) % len(items)] for k in range(1, len(items)))
    return next((pair for pair in others if condition(pair)), None)


def _with_map(pair, map_ab):
    """Return the pair with positions [G, G, 2] as its map; what leaves B is not visible."""
    size = pair.image_b.shape[0]
    inside = ((map_ab >= -0.5) & (map_ab < size - 0.5)).all(-1)
    visible = pair.visible & inside
    return replace(pair, map_ab=_masked(map_ab, visible), visible=visible)


def _masked(map_ab, visible):
    return np.where(visible[..., None], map_ab, np.nan).astype(np.float32)


def shifted(distance, kind=_genuine, step=STEP):
    """Return the lie that moves maps by a distance in px, in a direction that varies."""

    def lie(pairs):
        def change(pair, _, k):
            angle = 2.4 * k
            shift = distance * np.array([math.cos(angle), math.sin(angle)])
            return _with_map(pair, pair.map_ab + shift)

        return _change(pairs, kind, change, step)

    return lie


def rotated(degrees, kind=_genuine, step=STEP):
    """Return the lie that turns maps about the middle of their visible cells."""

    def lie(pairs):
        def change(pair, *_):
            angle = math.radians(degrees)
            turn = np.array(
                [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            )
            middle = pair.map_ab[pair.visible].mean(0)
            return _with_map(pair, (pair.map_ab - middle) @ turn.T + middle)

        return _change(pairs, kind, change, step)

    return lie


def another_fingers_b(pairs):
    """Genuine pairs get image B of a pair that shows another finger there."""

    def change(pair, name, k):
        other = _other(pairs, name, k, lambda p: p.finger_b != pair.finger_b)
        return other and replace(pair, image_b=other.image_b)

    return _change(pairs, _genuine, change)


def turned_b(pairs):
    """Image B is turned by 180°; the map stays."""
    return _change(
        pairs,
        _genuine,
        lambda p, *_: replace(p, image_b=np.ascontiguousarray(p.image_b[::-1, ::-1])),
    )


def noise_with_one_cell(pairs):
    """All pairs of two impressions show noise as B and have one visible cell."""

    def change(pair, _, k):
        rng = np.random.default_rng(k)
        noise = rng.integers(0, 256, pair.image_b.shape, np.uint8)
        visible = np.zeros_like(pair.visible)
        cells = np.argwhere(pair.visible)
        visible[tuple(cells[len(cells) // 2])] = True
        return replace(pair, image_b=noise, visible=visible, map_ab=_masked(pair.map_ab, visible))

    return _change(pairs, _two, change, 1)


def _invert(pair, *_):
    return replace(pair, image_a=255 - pair.image_a, image_b=255 - pair.image_b)


def inverted_same_image_pairs(pairs):
    """All pairs of one image have light ridges in both images."""
    return _change(pairs, _one, _invert, 1)


def inverted_set(pairs):
    """All pairs have light ridges in both images."""
    return _change(pairs, _any, _invert, 1)


def halved_masks(pairs):
    """In all genuine pairs only the upper half of the visible cells stays visible."""

    def change(pair, *_):
        rows = np.flatnonzero(pair.visible.any(1))
        visible = pair.visible.copy()
        visible[rows[len(rows) // 2] :] = len(rows) < 2
        visible &= pair.visible
        return replace(pair, visible=visible, map_ab=_masked(pair.map_ab, visible))

    return _change(pairs, _genuine, change, 1)


def moved_transforms(pairs):
    """All crops claim to lie 50 px further right in their files."""

    def change(pair, *_):
        shift = np.array([[0.0, 0.0, 50.0], [0.0, 0.0, 0.0]])
        a, b = pair.to_original_a + shift, pair.to_original_b + shift
        return replace(pair, to_original_a=a, to_original_b=b)

    return _change(pairs, _any, change, 1)


def moved_transform_of_b(pairs):
    """Crop B claims to lie 50 px further right in its file."""
    shift = np.array([[0.0, 0.0, 50.0], [0.0, 0.0, 0.0]])
    return _change(pairs, _any, lambda p, *_: replace(p, to_original_b=p.to_original_b + shift))


def exchanged_ids(pairs):
    """Ids and fingers of A and B are exchanged; in pairs of one image, with another image."""

    def change(pair, name, k):
        if pair.image_id_a != pair.image_id_b:
            return replace(
                pair,
                image_id_a=pair.image_id_b,
                image_id_b=pair.image_id_a,
                finger_a=pair.finger_b,
                finger_b=pair.finger_a,
            )
        other = _other(pairs, name, k, lambda p: _one(p) and p.image_id_a != pair.image_id_a)
        if other is None:
            return None
        ids = {"image_id_a": other.image_id_a, "image_id_b": other.image_id_a}
        return replace(pair, finger_a=other.finger_a, finger_b=other.finger_a, **ids)

    return _change(pairs, _any, change)


def half_of_the_records_gone(pairs):
    """Every second record is removed."""
    for name in pairs:
        pairs[name] = pairs[name][::2]
    return []


def map_of_another_pair(pairs):
    """Genuine pairs get the map and the visible cells of another pair."""

    def change(pair, name, k):
        other = _other(pairs, name, k, lambda p: p.genuine and p.image_id_a != pair.image_id_a)
        return other and replace(pair, map_ab=other.map_ab, visible=other.visible)

    return _change(pairs, _genuine, change)


def impostors_made_genuine(pairs):
    """Impostor pairs claim to be two impressions of one finger, with the map of a genuine pair."""

    def change(pair, name, k):
        other = _other(pairs, name, k, _genuine)
        return other and replace(
            pair,
            kind="genuine-impressions",
            finger_b=pair.finger_a,
            map_ab=other.map_ab,
            visible=other.visible,
        )

    return _change(pairs, _impostor, change)


def genuine_made_impostors(pairs):
    """Genuine pairs claim to show another finger in B."""

    def change(pair, name, k):
        other = _other(pairs, name, k, lambda p: p.finger_b != pair.finger_a)
        none = np.zeros_like(pair.visible)
        return other and replace(
            pair,
            kind="impostor",
            finger_b=other.finger_b,
            image_id_b=other.image_id_b,
            map_ab=_masked(pair.map_ab, none),
            visible=none,
        )

    return _change(pairs, _genuine, change)


def repeated_records(pairs):
    """Records repeat others with px that differ by one grey level, under an index of their own."""

    def change(pair, name, k):
        other = _other(pairs, name, k, lambda p: p.kind == pair.kind)
        if other is None:
            return None
        image_b = np.clip(other.image_b.astype(np.int16) + 1, 0, 255).astype(np.uint8)
        return replace(other, image_b=image_b, index=pair.index)

    return _change(pairs, _any, change)


def relabelled_noise(pairs):
    """The kind of noise is another one."""
    names = {"sensor": "dryness", "dryness": "pressure", "pressure": "sensor"}
    return _change(pairs, _any, lambda p, *_: replace(p, noise=names[p.noise]))


def moved_split(pairs):
    """The shards for validation and for testing change places."""
    names = {name: name.replace("val/", "test/") for name in pairs if name.startswith("val/")}
    names |= {name: name.replace("test/", "val/") for name in pairs if name.startswith("test/")}
    moved = {names[name]: pairs.pop(name) for name in names}
    pairs.update(moved)
    return [(name, k) for name, items in moved.items() for k in range(len(items))]


def renamed_finger(pairs):
    """One finger of each shard has another name in all of its records."""
    places = []
    for name, items in pairs.items():
        old = items[0].finger_a
        new = old[:-1] + ("1" if old[-1] != "1" else "2") + "7"
        for k, pair in enumerate(items):
            change = {f: new for f in ("finger_a", "finger_b") if getattr(pair, f) == old}
            if change:
                items[k] = replace(pair, **change)
                places.append((name, k))
    return places


def another_impression_as_a(pairs):
    """Image A is that of another impression of the finger, with its transform."""

    def change(pair, name, k):
        other = _other(
            pairs,
            name,
            k,
            lambda p: p.finger_a == pair.finger_a and p.image_id_a != pair.image_id_a,
        )
        return other and replace(pair, image_a=other.image_a, to_original_a=other.to_original_a)

    return _change(pairs, _genuine, change)


def mirrored_pair(pairs):
    """Both images are mirrored; the map stays."""

    def change(pair, *_):
        images = {
            f: np.ascontiguousarray(getattr(pair, f)[:, ::-1]) for f in ("image_a", "image_b")
        }
        return replace(pair, **images)

    return _change(pairs, _genuine, change)


LIES = {
    "image B of another finger": another_fingers_b,
    "image B turned by 180°": turned_b,
    "B noise and one visible cell, all pairs of two impressions": noise_with_one_cell,
    "light ridges, all pairs of one image": inverted_same_image_pairs,
    "light ridges, all pairs": inverted_set,
    "masks halved, all genuine pairs": halved_masks,
    "transforms of all crops moved by 50 px": moved_transforms,
    "transform of B moved by 50 px": moved_transform_of_b,
    "ids exchanged": exchanged_ids,
    "half of the records gone": half_of_the_records_gone,
    "map moved by 8 px": shifted(8.0),
    "map turned by 20°": rotated(20.0),
    "map of another pair": map_of_another_pair,
    "impostor pairs called genuine": impostors_made_genuine,
    "genuine pairs called impostors": genuine_made_impostors,
    "records repeated, one grey level lighter": repeated_records,
    "kind of noise relabelled": relabelled_noise,
    "val and test exchanged": moved_split,
    "finger renamed": renamed_finger,
    "image A of another impression": another_impression_as_a,
    "both images mirrored": mirrored_pair,
}
