"""The benchmark: methods of registration on several sets of impressions, by one protocol."""
