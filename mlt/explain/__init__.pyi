from .explanation import Explanation as Explanation
from .explanation import explain as explain
from .files import write_explanations as write_explanations
