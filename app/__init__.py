"""The page: Gradio only. It imports core and holds no torch maths."""
