"""Experiments on learned prompts that need the model: each is an iterator of small pieces of work, between which other jobs run."""
