"""What the lessons run, an experiment a class: a lesson's text names them."""

from app.lessons.experiment import Experiment
from app.lessons.holds import HoldsExperiment
from app.lessons.looks import NearestExperiment, SnapExperiment, WaywardExperiment
from app.lessons.methods import MethodsExperiment
from app.lessons.proof import ProofExperiment
from app.lessons.races import RaceExperiment
from app.lessons.shapes import CountExperiment, SpectrumExperiment
from app.lessons.story import TrainExperiment, WrittenExperiment
from app.lessons.truths import RecordedTruthsExperiment, TruthExperiment

EXPERIMENTS: tuple[type[Experiment], ...] = (
    WrittenExperiment, TrainExperiment, RaceExperiment, NearestExperiment, SnapExperiment, WaywardExperiment, CountExperiment,
    SpectrumExperiment, MethodsExperiment, TruthExperiment, RecordedTruthsExperiment, HoldsExperiment, ProofExperiment,
)  # fmt: skip
