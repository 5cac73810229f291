"""The panels of the Inspect page, one analysis a file, in the order that they stand on the page."""

from app.panel import Panel

from .attention import AttentionPanel
from .between import BetweenPanel
from .hears import HearsPanel
from .layers import LayersPanel
from .nearest import NearestPanel
from .plane import PlanePanel
from .seeds import SeedsPanel
from .snap import SnapPanel
from .vectors import VectorsPanel
from .wayward import WaywardPanel

PANELS: tuple[type[Panel], ...] = (
    NearestPanel, PlanePanel, SeedsPanel, SnapPanel, WaywardPanel, VectorsPanel, AttentionPanel, HearsPanel, BetweenPanel, LayersPanel,
)  # fmt: skip
