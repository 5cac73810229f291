"""Readings of learned vectors, one per file: arrays in, arrays out. Each has its control."""
