from .grad_cam import grad_cam as grad_cam
from .on_photograph import PhotographMaps as PhotographMaps
from .on_photograph import seen_on as seen_on
from .overlay import overlay as overlay
from .placement import Box as Box
from .placement import spread as spread
from .placement import visible_box as visible_box
from .where_seen import where_seen as where_seen
