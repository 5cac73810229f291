"""Pure functions for the page: figures, tables, HTML, links, the report. Data in, data out, no Gradio."""
