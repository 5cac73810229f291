"""How a prompt is trained: steps, the memory they need, and slices of them for another process."""
