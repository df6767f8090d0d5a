"""Which images are trained, watched and tested on: cut by class, by a recipe, or as published."""
