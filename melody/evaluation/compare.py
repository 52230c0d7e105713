"""Comparison of generated with reference scores: how far the distributions of a statistic overlap.

After Yang & Lerch (On the Evaluation of Generative Models in Music, Neural Computing and Applications 32, 2020): take
the distances of a statistic between all pairs of reference scores, and between each generated and each reference score;
smooth both by a Gaussian kernel; the overlapped area of the two densities, from 0 to 1, says how much the generated
scores look like more of the same. It punishes too little variety as it does too much. A statistic may be a number or a
histogram; the distance is Euclidean, as theirs.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

POINTS = 512  # at which densities are compared
MARGIN = 4.0  # bandwidths beyond the outermost sample
NARROWEST = 1e-3  # bandwidth over the range of all samples where a sample has no spread

Floats = NDArray[np.float64]


def overlapped_area(a: ArrayLike, b: ArrayLike) -> float:
    """The area under both of two densities, each a Gaussian kernel estimate of its samples; from 0 to 1.

    NaN samples are left out; NaN where none remain on a side. Samples that are all one number have a narrow density of
    their own, so that two equal constants overlap by 1 and two different ones by 0.
    """
    first, second = _finite(a), _finite(b)
    if not len(first) or not len(second):
        return float("nan")
    everything = np.concatenate([first, second])
    extent = float(np.ptp(everything)) or 1.0
    widths = [max(_bandwidth(samples), NARROWEST * extent) for samples in (first, second)]
    margin = MARGIN * max(widths)
    x = np.linspace(everything.min() - margin, everything.max() + margin, POINTS)
    # a width below the spacing of the points would let a density fall between them
    widths = [max(width, float(x[1] - x[0])) for width in widths]
    densities = [_density(x, samples, width) for samples, width in zip((first, second), widths, strict=True)]
    return min(1.0, float(np.minimum(*densities).sum() * (x[1] - x[0])))


def overlap(generated: Floats, reference: Floats) -> float:
    """The overlapped area of distances (see the module) of values or histograms, shape (scores, bins).

    NaN where the references are all alike and the generated are not: there is no telling how far apart is far.
    """
    within = _distances(reference, reference)[np.triu_indices(len(reference), k=1)]
    across = _distances(generated, reference)
    return overlapped_area(within, across) if within.any() or not across.any() else float("nan")


def _distances(a: Floats, b: Floats) -> Floats:
    """Between all rows of a (N, bins) and b (M, bins): (N, M)."""
    return np.stack([np.sqrt(((a - row) ** 2).sum(axis=1)) for row in b], axis=1) if len(b) else np.zeros((len(a), 0))


def _finite(samples: ArrayLike) -> Floats:
    values = np.asarray(samples, np.float64).ravel()
    return values[np.isfinite(values)]


def _bandwidth(samples: Floats) -> float:
    """Scott's rule (Multivariate Density Estimation, 1992) in one dimension."""
    return float(samples.std(ddof=1)) * len(samples) ** -0.2 if len(samples) > 1 else 0.0


def _density(x: Floats, samples: Floats, width: float) -> Floats:
    """The kernel estimate at x; samples that are equal, of which distances of counts have many, are taken once."""
    values, counts = np.unique(samples, return_counts=True)
    kernels = np.exp(-0.5 * ((x[:, None] - values) / width) ** 2)  # (points, values)
    density: Floats = (kernels @ counts) / (len(samples) * width * np.sqrt(2 * np.pi))
    return density
