"""The server around the page: limits, API, returning sessions, ZeroGPU."""
