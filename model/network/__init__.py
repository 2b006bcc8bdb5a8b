"""The dense registration network: layers, loss, metrics, weights."""
