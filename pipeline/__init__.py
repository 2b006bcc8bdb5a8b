"""From folders of fingerprint images to shards of pairs with ground truth."""
