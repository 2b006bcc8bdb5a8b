"""Comparison of synthetic with real prints."""
