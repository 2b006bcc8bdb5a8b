"""The dense registration network and what is done with it."""
