"""Plotly figures as plain data: data in, traces and layout out. No Gradio, no model. Text is escaped: plotly reads some HTML.

Plain, and not plotly's graph objects: those check every attribute as they are made, which takes 30 ms of a step that has to
be on the page within 150. The tests make them of every figure, so that nothing unknown to plotly stands here.
"""

from app.view.figures.attention import attention
from app.view.figures.between import along, cosines, transplant
from app.view.figures.compare import confusion, intervals, reliability
from app.view.figures.curves import curves, race
from app.view.figures.drawing import framed, plain, thinned
from app.view.figures.hears import lens
from app.view.figures.layers import layer_effects, layer_norms
from app.view.figures.nearest import strip
from app.view.figures.plane import paths, plane
from app.view.figures.spectrum import spectrum
from app.view.figures.vectors import effects
from app.view.figures.wayward import wayward

__all__ = [
    "along",
    "attention",
    "confusion",
    "cosines",
    "curves",
    "effects",
    "framed",
    "intervals",
    "layer_effects",
    "layer_norms",
    "lens",
    "paths",
    "plain",
    "plane",
    "race",
    "reliability",
    "spectrum",
    "strip",
    "thinned",
    "transplant",
    "wayward",
]
