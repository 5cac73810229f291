"""Sweeps: many runs on one task over a grid of settings and seeds, and what they tell."""
