"""What a prompt is trained for: tables of rows, their split into parts, tasks and their files."""
