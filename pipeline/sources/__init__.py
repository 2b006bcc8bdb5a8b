"""Readers of data sets: each layout on disk becomes a list of impressions."""
