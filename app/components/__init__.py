"""The components that pages and panels are made of."""
