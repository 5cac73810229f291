"""The panels of the Inspect page, one per file, in the order of the page."""

from app.panels.attention import AttentionPanel
from app.panels.between import BetweenPanel
from app.panels.describes import DescribesPanel
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
from app.panels.text_search import TextSearchPanel
from app.panels.vectors import VectorsPanel
from app.panels.wayward import WaywardPanel

PANELS: tuple[type[Panel], ...] = (
    # first what surprises, then what mostly shows where training began
    HearsPanel, FitsPanel, WaywardPanel, TextSearchPanel, DescribesPanel, SaliencePanel, VectorsPanel,
    NearestPanel, PlanePanel, SnapPanel, SeedsPanel, BetweenPanel, AttentionPanel, LayersPanel, KeysValuesPanel,
)  # fmt: skip
