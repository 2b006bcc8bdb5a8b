"""The impressions of a set by the names of their images alone, without the image files."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from pipeline.impression import Impression
from pipeline.sources import generated, nist, sd302
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Fault
from shards.record import person_of_finger

# Image ids in which the finger is: of the FVC data sets (the number after the database's name) and
# of synthetic fingers.
FVC_ID = re.compile(r"(fvc\d{4}/db\d)(_[ab])/(\d{1,4})_\d{1,2}", re.ASCII)
SYNTHETIC_ID = re.compile(r"(synthetic/[A-Za-z0-9._-]+)/(\d{5,9})_(\d{1,9})", re.ASCII)
NIST_ID = re.compile(r"(sd300|sd301a|sd302)/(\w+)/([\w-]+)", re.ASCII)


def name_impressions(
    partition: str, image_ids: Collection[str], spec: PipelineSpec
) -> list[Impression] | None:
    """Return the impressions of a partition by the ids of its images.

    The resolution and the path are not known and not set: a plan does not depend on them. Those of
    synthesized images have all that is needed to synthesize them.

    Args:
        partition: such as "fvc2002/db1_b".
        image_ids: ids of all its images.
        spec: settings of the set.

    Returns:
        The impressions; None where a data set has no finger in the names of its images.

    Raises:
        Fault: an id is not a name in its partition.
    """
    if not partition.startswith(("fvc", "synthetic/", "sd300/", "sd301a/", "sd302/")):
        return None
    if generated.is_generated(partition, spec):
        return [_generated(partition, image_id, spec) for image_id in sorted(image_ids)]
    return [_from_file(partition, image_id) for image_id in sorted(image_ids)]


def _generated(partition: str, image_id: str, spec: PipelineSpec) -> Impression:
    match = SYNTHETIC_ID.fullmatch(image_id)
    finger, number = (int(match[2]), int(match[3])) if match else (-1, -1)
    if not (0 <= finger < spec.fingers and 0 <= number < spec.impressions):
        raise _unknown(partition, image_id)
    impression = generated.impression(partition, spec.finger_seed, finger, number)
    if impression.image_id != image_id:
        raise _unknown(partition, image_id)
    return impression


def _from_file(partition: str, image_id: str) -> Impression:
    """Return the impression of an image file, as its reader does, apart from ppi and path."""
    finger = _finger(image_id) if image_id.startswith(partition + "/") else None
    if finger is None:
        raise _unknown(partition, image_id)
    path = Path(image_id)
    truth = path.with_suffix(".json") if partition.startswith(generated.PREFIX) else None
    person = person_of_finger(finger)
    return Impression(path, image_id, partition, person, finger, ppi=0.0, truth=truth)


def _finger(image_id: str) -> str | None:
    if match := FVC_ID.fullmatch(image_id):
        # A B set of FVC2006 may repeat numbers of the A set (pipeline.sources.fvc).
        part = match[2] if match[1].startswith("fvc2006/") and match[2] == "_b" else ""
        return f"{match[1]}{part}/{int(match[3])}"
    if match := SYNTHETIC_ID.fullmatch(image_id):
        return f"{match[1]}/{match[2]}"
    if match := NIST_ID.fullmatch(image_id):
        return _nist_finger(match[1], match[2], match[3])
    return None


def _nist_finger(data_set: str, device: str, stem: str) -> str | None:
    """Return the finger of a NIST image; None where it is no finger. Errata are applied."""
    fields = nist.parse_fields(stem)
    if fields is None or "subject" not in fields:
        return None
    position = nist.finger_position(int(fields["frgp"]), "slap-segmented")
    if not isinstance(position, int):
        return None
    if data_set == "sd302":
        erratum = sd302.ERRATA.get((fields["subject"], device))
        corrected = erratum.fingers.get(position, position) if erratum else position
        if corrected is None:
            return None
        position = corrected
    return f"nist/{fields['subject']}/{position:02d}"


def _unknown(partition: str, image_id: str) -> Fault:
    return Fault(f"lists {image_id!r:.80}, which is not the name of an image of {partition}")
