"""Verification of a shard set against its plan, and against the images it was built from."""
