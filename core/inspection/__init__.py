"""Measurements of learned vectors, one in each file: arrays in, arrays out, each with its control."""
