"""The features of a frozen backbone: computed once per image and view, kept in files, trained on.

A backbone that does not learn gives the same features of the same pixels in every epoch of every
run. What is computed, and under which key: :mod:`mlt.features.views`. Where it is kept:
:mod:`mlt.features.store`. What trains on it: :mod:`mlt.features.dataset` in place of the images,
:mod:`mlt.features.head_model` in place of the model.
"""
