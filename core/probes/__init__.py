"""Experiments on learned prompts that need the model: each an iterator of small pieces, so that the engine can take turns."""
