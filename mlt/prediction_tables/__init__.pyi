from .join import join as join, read_predictions as read_predictions
from .scores import Kind as Kind, Scores as Scores, read_scores as read_scores
from .truth import Truth as Truth, TruthTable as TruthTable
