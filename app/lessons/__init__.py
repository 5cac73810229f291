"""What the lessons run, an experiment a class: a lesson's text names them."""

from .experiment import Experiment
from .looks import NearestExperiment, SnapExperiment, WaywardExperiment
from .races import RaceExperiment
from .shapes import CountExperiment, SpectrumExperiment
from .story import TrainExperiment, WrittenExperiment

EXPERIMENTS: tuple[type[Experiment], ...] = (
    WrittenExperiment, TrainExperiment, RaceExperiment, NearestExperiment, SnapExperiment, WaywardExperiment, CountExperiment,
    SpectrumExperiment,
)  # fmt: skip
