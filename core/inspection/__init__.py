"""Readings of learned vectors, one a file: arrays in, arrays out. Each has its control beside it."""
