"""Plotly figures as plain data: data in, traces and layout out. No Gradio, no model. Text is escaped: plotly reads some HTML.

Plain dicts, because plotly's graph objects check every attribute, which takes 30 of the 150 ms that a training step has. The tests
check every figure with them.
"""

from app.view.figures.attention import attention
from app.view.figures.between import along, cosines, transplant
from app.view.figures.compare import confusion, intervals, reliability
from app.view.figures.curves import curves, race
from app.view.figures.fits import fits
from app.view.figures.hears import lens
from app.view.figures.keys_values import layer_swaps, mixes
from app.view.figures.layers import layer_effects, layer_norms
from app.view.figures.methods import methods
from app.view.figures.nearest import strip
from app.view.figures.plane import paths, plane
from app.view.figures.salience import salience
from app.view.figures.scoreboard import scoreboard
from app.view.figures.spectrum import spectrum
from app.view.figures.sweep import sweep
from app.view.figures.text_search import text_search
from app.view.figures.vectors import effects
from app.view.figures.wayward import wayward

__all__ = [
    "along", "attention", "confusion", "cosines", "curves", "effects", "fits", "intervals", "layer_effects", "layer_norms", "layer_swaps", "lens", "methods",
    "mixes", "paths", "plane", "race", "reliability", "salience", "scoreboard", "spectrum", "strip", "sweep", "text_search", "transplant", "wayward",
]  # fmt: skip
