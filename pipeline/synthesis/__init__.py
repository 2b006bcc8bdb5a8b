"""Synthetic fingers: masters, impressions and the exact map between them."""
