from . import config as config
from . import data as data
from . import detection as detection
from . import inference as inference
from . import inspection as inspection
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import report as report
from .config import load_config as load_config
from .data import read_coco as read_coco
from .data import read_csv as read_csv
from .data import read_voc as read_voc
from .detection import attach as attach
from .detection import detach as detach
from .engine.evaluate import evaluate as evaluate
from .engine.find_lr import find_lr as find_lr
from .engine.train import train as train
from .inference import Predictor as Predictor
from .losses import create_loss as create_loss
from .losses import list_losses as list_losses
from .metrics import summarize as summarize

__version__: str
