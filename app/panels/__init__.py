"""The panels of the Inspect page, one per file, in the order of the page."""

from app.panels.attention import AttentionPanel
from app.panels.between import BetweenPanel
from app.panels.fits import FitsPanel
from app.panels.hears import HearsPanel
from app.panels.keys_values import KeysValuesPanel
from app.panels.layers import LayersPanel
from app.panels.nearest import NearestPanel
from app.panels.panel import Panel
from app.panels.plane import PlanePanel
from app.panels.salience import SaliencePanel
from app.panels.seeds import SeedsPanel
from app.panels.snap import SnapPanel
from app.panels.vectors import VectorsPanel
from app.panels.wayward import WaywardPanel

PANELS: tuple[type[Panel], ...] = (
    NearestPanel, PlanePanel, SeedsPanel, SnapPanel, WaywardPanel, FitsPanel, SaliencePanel, VectorsPanel, AttentionPanel, HearsPanel, BetweenPanel, LayersPanel,
    KeysValuesPanel,
)  # fmt: skip
