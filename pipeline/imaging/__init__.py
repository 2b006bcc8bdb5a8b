"""Image files, foreground, resampling and warps: what training and registration share."""
