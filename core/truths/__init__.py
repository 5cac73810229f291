"""Readings against a known truth: imitate an instruction, then see which reading finds it among others. See docs/scoreboard.md."""
