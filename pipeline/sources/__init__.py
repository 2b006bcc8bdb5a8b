"""One file a data set: a layout on disk becomes a list of Impressions."""
