"""Medians and percentiles are NumPy's, for any number of values."""

import numpy as np
import pytest

from exchangeai.signal.order import FEW_LAYERS, median, median_layer, percentile


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 10, FEW_LAYERS, FEW_LAYERS + 1, 100])
def test_as_numpy_has_them(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(n, 3, 70)).astype(np.float32)
    np.testing.assert_allclose(median_layer(x), np.median(x, axis=0), atol=1e-6)
    last = np.moveaxis(x, 0, -1)
    np.testing.assert_allclose(median(last), np.median(last, axis=-1), atol=1e-6)
    for percent in (0, 20, 75, 90, 100):
        np.testing.assert_allclose(
            percentile(last, percent), np.percentile(last, percent, axis=-1), atol=1e-6
        )


def test_what_is_given_is_left_as_it_was() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    kept = x.copy()
    median_layer(x)
    median(x)
    np.testing.assert_array_equal(x, kept)
