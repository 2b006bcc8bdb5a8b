"""Synthetic fingers: master fingerprints, impressions by sensor models, and their exact maps.

Order of the modules: frame, noise → singularities, period, orientation → growth, skin → master →
manner, distortion, traces → touch → contact → encode → sensors, sensor → generate (one impression
by its address) → file_description, nist_tables, nist, layouts → write (sets of files) → command.
"""
