"""The trainer: loader, state, step, checkpoints, loop, evaluation, report."""
