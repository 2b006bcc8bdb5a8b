"""Checks of a shard set, from the files to the meaning of each record."""
