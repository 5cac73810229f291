"""The frozen base model: its weights, its sizes, how it runs rows after a cache."""
