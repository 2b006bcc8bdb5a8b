"""The cache between building and training: records, shard files, and the manifest of a set."""
