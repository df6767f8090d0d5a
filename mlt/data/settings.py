"""Configuration of the data: any one of the sources, told apart by ``name``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlt.data.sources.chexpert import ChexpertData
from mlt.data.sources.cifar_lt import Cifar10LtData, Cifar100LtData
from mlt.data.sources.coco import CocoData
from mlt.data.sources.coco_mlt import CocoMltData
from mlt.data.sources.csv import CsvData
from mlt.data.sources.digits_mlt import DigitsMltData
from mlt.data.sources.egtea import EgteaData
from mlt.data.sources.hf import HfData
from mlt.data.sources.image_folder import ImageFolderData
from mlt.data.sources.imagenet_lt import ImageNetLtData
from mlt.data.sources.inaturalist import Inat2017Data, Inat2018Data
from mlt.data.sources.lvis import LvisData
from mlt.data.sources.mimic_cxr_lt import MimicCxrLtData
from mlt.data.sources.nih14 import Nih14Data
from mlt.data.sources.open_images import OpenImagesData
from mlt.data.sources.padchest import PadchestData
from mlt.data.sources.places_lt import PlacesLtData
from mlt.data.sources.planet import PlanetData
from mlt.data.sources.voc import VocData
from mlt.data.sources.voc_mlt import VocMltData
from mlt.data.sources.webdataset import WebDatasetData

__all__ = ["DataConfig"]

DataConfig = Annotated[
    CocoMltData
    | VocMltData
    | DigitsMltData
    | CocoData
    | VocData
    | CsvData
    | HfData
    | WebDatasetData
    | ImageFolderData
    | Nih14Data
    | ChexpertData
    | PadchestData
    | MimicCxrLtData
    | OpenImagesData
    | LvisData
    | PlanetData
    | Cifar10LtData
    | Cifar100LtData
    | ImageNetLtData
    | PlacesLtData
    | Inat2017Data
    | Inat2018Data
    | EgteaData,
    Field(discriminator="name"),
]
