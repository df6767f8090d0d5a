from .inspection import Inspection as Inspection, inspect_data as inspect_data
from .page import inspection_page as inspection_page
from .text import inspection_text as inspection_text, short_text as short_text
