"""A run from its first step to its files: its record, its readings, saved adapters, cards and recordings."""
