"""Limits of what the shards of a partition may have in common, beyond the faults of each one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.imaging.polarity import Polarity
from pipeline.verification.check_shard import VerificationReport
from shards.foundation.errors import Finding
from shards.foundation.versions import BUILD_DISTRIBUTIONS, library_versions
from shards.manifest import Manifest


@dataclass(frozen=True)
class PartitionParameters:
    """Limits of a partition."""

    # Share of the planned pairs of two impressions that may show nothing in common. Measured:
    # docs/LOG.md, 2026-11-29, "Lies in a set with correct checksums".
    missing_impressions: float = 0.1
    # Crops with light ridges, from which a partition that shows no more with dark ones is faulty.
    # Of 1,120 crops none was taken for light, of their negatives half (same entry).
    light_images: int = 2


DEFAULT = PartitionParameters()


@dataclass
class PartitionCounts:
    """Sums over the shards of each partition."""

    differing: Counter[str] = field(default_factory=Counter)
    planned: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    polarities: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, report: VerificationReport) -> None:
        """Add the counts of one shard."""
        name = report.entry.partition
        self.differing[name] += report.differing
        self.planned[name] += report.planned_impressions
        self.missing[name] += report.missing_impressions
        self.polarities.setdefault(name, Counter()).update(report.polarities)

    def findings(
        self, manifest: Manifest, parameters: PartitionParameters = DEFAULT
    ) -> Iterator[Finding]:
        """Yield the partitions whose sums are beyond their limits."""
        for name, missing in self.missing.items():
            if missing > parameters.missing_impressions * self.planned[name] + 1:
                message = (
                    f"lacks {missing} of {self.planned[name]} planned pairs of two impressions;"
                    " so many cannot be without a common area"
                )
                yield Finding(name, None, message)
        for name, polarities in self.polarities.items():
            light, dark = polarities[Polarity.LIGHT.name], polarities[Polarity.DARK.name]
            if light >= parameters.light_images and light > dark:
                message = f"shows light ridges in {light} of {polarities.total()} images"
                yield Finding(name, None, f"{message} and dark ones in {dark}, expected dark ones")
        for name, differing in self.differing.items():
            if differing:
                message = f"{differing} records differ from those built again: "
                message += _describe_versions(manifest.partitions[name].libraries)
                yield Finding(name, None, message)


def _describe_versions(recorded: dict[str, str]) -> str:
    """Describe which libraries differ from those that a partition was built with."""
    installed = library_versions(BUILD_DISTRIBUTIONS)
    changes = [
        f"{name} {version}, here {installed.get(name, 'not installed')}"
        for name, version in sorted(recorded.items())
        if installed.get(name) != version
    ]
    if not recorded:
        return "the manifest does not say with which libraries they were built"
    if changes:
        return f"they were built with {'; '.join(changes)}, which may be the reason"
    return (
        "they were built with the same libraries; synthesized images also depend on the"
        " processor's vector instructions (docs/DATA.md)"
    )
