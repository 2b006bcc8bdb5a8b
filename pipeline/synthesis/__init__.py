"""Synthetic fingers: master fingerprints, impressions by sensor models, and their exact maps.

Order of the modules: frame, noise → singularities, period, orientation → growth, skin → master →
manner, distortion, traces → touch → contact → sensors, sensor → generate (one impression by its
address) → encode, file, layouts, nist → write (sets of files).
"""
