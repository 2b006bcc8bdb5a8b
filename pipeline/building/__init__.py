"""Building of a shard set from impressions: plan, workers, resumption, repair."""
