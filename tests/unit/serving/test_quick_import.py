"""Gradio is imported without writing stubs, and everything else finds its source files as ever."""

import subprocess
import sys

CODE = """
import ast, inspect
from app.serving.quick_import import import_gradio
before, parse, parsed = inspect.getfile, ast.parse, []
ast.parse = lambda source, *args, **options: parsed.append(str(source)) or parse(source, *args, **options)
import_gradio()
import gradio
print(inspect.getfile is before, hasattr(gradio.Textbox, "change"), any("class Textbox" in source for source in parsed))
"""


def test_gradio_is_whole_and_inspect_is_as_before():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True", "False"], done.stderr
