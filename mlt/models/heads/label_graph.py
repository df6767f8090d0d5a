"""The graph of classes that a graph network works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["conditional_shares", "cosines", "graph_weights"]


def conditional_shares(
    cooccurrence: csr_array,
    num_images: int | NDArray[np.integer],
    shrinkage: float = 0.0,
    judged: csr_array | None = None,
) -> NDArray[np.float64]:
    """How often class j is in the images of class i.

    ``(M_ij + k r_j) / (K_ij + k)``, with M the counts, K_ij the images of i on which j is known
    (M_ii where all labels are), r_j the share of j among the images on which it is known, and k
    the shrinkage: the share of a class that has few images is drawn towards what it would be if the
    two had nothing to do with each other.

    Args:
        cooccurrence: (C, C) images that have both of two classes.
        num_images: All images that were counted, or (C,) those on which each class is known.
        shrinkage: k, in images.
        judged: (C, C) K; None: every label is known.

    Returns:
        (C, C), rows i and columns j; a class without images has the shares of all images, or 0
        without shrinkage.

    Example:
        >>> from scipy.sparse import csr_array
        >>> together = csr_array([[2, 2], [2, 50]])
        >>> conditional_shares(together, 100).tolist()
        [[1.0, 1.0], [0.04, 1.0]]
        >>> conditional_shares(together, 100, shrinkage=8.0)[0, 1].item()
        0.6
    """
    counts = cooccurrence.toarray().astype(np.float64)
    own = counts.diagonal()
    share = own / np.maximum(num_images, 1)
    images = own[:, None] if judged is None else judged.toarray()
    return (counts + shrinkage * share) / np.maximum(images + shrinkage, 1e-12)


def cosines(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each pair of rows, (C, C); 0 for a row of zeros.

    Args:
        embeddings: (C, E).
    """
    length = np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    unit = embeddings / np.where(length > 0, length, 1.0)
    return unit @ unit.T


def graph_weights(
    relation: NDArray[np.floating], threshold: float, neighbors: float
) -> NDArray[np.float64]:
    """What each class takes from its neighbours and from itself, normalised.

    Chen et al., Multi-Label Image Recognition with Graph Convolutional Networks, CVPR 2019
    (1904.03582), equations 6, 7 and 2: binary by a threshold; then a class's neighbours have
    ``neighbors`` together and itself ``1 - neighbors``; then ``D^(-1/2) A D^(-1/2)`` with D the row
    sums.

    Args:
        relation: (C, C), how much class j follows from class i.
        threshold: j is a neighbour of i from this on.
        neighbors: p in the paper.

    Returns:
        (C, C).

    Example:
        >>> graph_weights(np.array([[1.0, 0.9], [0.1, 1.0]]), 0.4, 0.2).round(3).tolist()
        [[0.8, 0.224], [0.0, 1.0]]
    """
    adjacent = relation >= threshold
    np.fill_diagonal(adjacent, False)
    count = adjacent.sum(axis=1, keepdims=True)
    weights = neighbors * adjacent / np.maximum(count, 1)
    np.fill_diagonal(weights, 1 - neighbors)
    root = np.sqrt(weights.sum(axis=1))
    return weights / root[:, None] / root
