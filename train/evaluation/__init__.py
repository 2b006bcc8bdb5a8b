"""Evaluation of registration on held-out pairs and on folders of impressions."""
