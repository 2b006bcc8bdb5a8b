"""Sensors: what each is like for one image, sampled once, and how it turns skin into greys."""
