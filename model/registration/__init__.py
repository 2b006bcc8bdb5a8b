"""Registration of two prints with a trained network."""
