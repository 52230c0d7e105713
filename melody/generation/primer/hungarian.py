"""Assignment at the least sum of costs: the Hungarian method."""

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> dict[int, int]:
    """For each row its column, or for some of more rows: at the least sum of costs (rows, columns), each used once.

    The Hungarian method by shortest augmenting paths: Jonker and Volgenant, Computing 38, 1987.
    """
    rows, columns = costs.shape
    if rows > columns:
        return {row: column for column, row in sorted(assign(costs.T).items())}
    row_price, price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)  # of each column; the last column is where the row stands that looks for one
    for row in range(rows):
        row_of[columns], column = row, columns
        distance, before = np.full(columns, np.inf), np.full(columns, columns)
        done = np.zeros(columns + 1, bool)
        while row_of[column] >= 0:
            done[column], here = True, row_of[column]
            through = costs[here] - row_price[here] - price[:-1]
            nearer = ~done[:-1] & (through < distance)
            distance[nearer], before[nearer] = through[nearer], column
            column = int(np.argmin(np.where(done[:-1], np.inf, distance)))
            step = distance[column]
            row_price[row_of[done]] += step
            price[done] -= step
            distance[~done[:-1]] -= step
        while column != columns:  # the path back, along which each column takes the row of the one before
            row_of[column] = row_of[before[column]]
            column = before[column]
    return {int(row): column for column, row in enumerate(row_of[:-1]) if row >= 0}
