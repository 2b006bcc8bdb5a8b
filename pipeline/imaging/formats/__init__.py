"""Decoders of the image file formats; `pipeline.imaging.file` chooses one by the first bytes."""
