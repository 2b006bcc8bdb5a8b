"""The record, the shard files and the manifest: the contract between building and training."""
