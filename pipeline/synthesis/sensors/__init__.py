"""Sensor models, one file each: parameters, sampled properties of one image, grey levels.

Every file has three parts: a frozen class of parameters (distributions and fixed numbers), a frozen
class of the properties that were sampled for one image (they are written to its sidecar), and the
`render` method that computes grey levels and samples noise fields only.

Distributions in the parameter classes: `*_range` is uniform (low, high), `*_normal` is normal
(mean, standard deviation), `*_lognormal` is (median, standard deviation of the natural logarithm).
A sampled value is clipped to (low, high) of `*_limits`.
Heights of the skin and pressures have the unit half a ridge height: a ridge's crest is 1 above the
middle between crest and valley. Grey levels are 0 … 255.
"""
