"""Assignment: each row its own column, so that the sum is greatest (the Hungarian method).

Source: R. Jonker and A. Volgenant, A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment
Problems, Computing 38 (1987); `scipy.optimize.linear_sum_assignment` is an implementation of the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def best_assignment(gains: np.ndarray[Any, Any]) -> list[int]:
    """For each row of the square matrix `gains` (K, K) the column that it gets; rows and columns pair off one to one."""
    import numpy as np

    costs = -gains.astype(np.float64)
    size = len(costs)
    row_price, column_price = np.zeros(size), np.zeros(size)
    row_of = np.full(size, -1)
    for start in range(size):
        distance = np.full(size, np.inf)
        came_from = np.full(size, -1)
        settled = np.zeros(size, dtype=bool)
        row, column, base = start, -1, 0.0
        while True:
            through = base + costs[row] - row_price[row] - column_price
            better = ~settled & (through < distance)
            distance[better], came_from[better] = through[better], column
            open_distance = np.where(settled, np.inf, distance)
            column = int(open_distance.argmin())
            base = float(open_distance[column])
            settled[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        before = settled & (np.arange(size) != column)
        row_price[row_of[before]] += base - distance[before]
        row_price[start] += base
        column_price[before] -= base - distance[before]
        while column >= 0:
            earlier = int(came_from[column])
            row_of[column] = start if earlier < 0 else row_of[earlier]
            column = earlier
    columns = [0] * size
    for column, row in enumerate(row_of.tolist()):
        columns[row] = column
    return columns
