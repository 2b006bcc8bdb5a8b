"""Build of the wheel: the package `densereg`, which holds the packages of this repository."""
