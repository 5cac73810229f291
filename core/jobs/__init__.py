"""What keeps the engine's workers going."""
