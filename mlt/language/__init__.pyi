from .class_embeddings import ClassEmbeddings as ClassEmbeddings
from .class_texts import fill_templates as fill_templates
from .class_texts import read_descriptions as read_descriptions
from .embed import embed_classes as embed_classes
from .load_text_tower import load_text_tower as load_text_tower
from .prompts import PromptEncoder as PromptEncoder
from .text_tower import TextTower as TextTower
