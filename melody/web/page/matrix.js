// What the planner and the harmonist compute with: weights are matrices with rows one behind the other.

// A matrix, each row as long as x, times x.
export function product(matrix, x) {
  const result = new Float64Array(matrix.length / x.length);
  for (let row = 0; row < result.length; row += 1) {
    let sum = 0;
    for (let d = 0; d < x.length; d += 1) sum += matrix[row * x.length + d] * x[d];
    result[row] = sum;
  }
  return result;
}
