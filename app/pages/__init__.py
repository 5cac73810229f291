"""What Gradio draws, a page a file."""
