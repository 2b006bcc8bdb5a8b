"""Registration of two impressions with a trained network."""
