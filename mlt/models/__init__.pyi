from .build import build_model as build_model
from .classifier import Classifier as Classifier
from .groups import parameter_groups as parameter_groups
