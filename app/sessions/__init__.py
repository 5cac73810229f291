"""What each session remembers, and how its jobs are followed. No Gradio."""
