"""Audit: comparison of the files on disk with a complete delivery of each data set."""
