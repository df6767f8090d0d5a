from .splits.build import (
    build_imbalanced_split as build_imbalanced_split,
    build_pareto_split as build_pareto_split,
    build_published_split as build_published_split,
    full_split as full_split,
    read_image_ids as read_image_ids,
)
from .formats.coco import read_coco as read_coco
from .formats.csv import read_csv as read_csv
from .formats.hugging_face import read_hf as read_hf
from .formats.voc import read_voc as read_voc
from .labels import LabelTable as LabelTable
from .splits.split import Split as Split
from .splits.partition import Partition as Partition
from .splits.stratification import stratify as stratify
