"""Verification of a shard set: files, records, correspondences."""
