/** How pictures of one shape share a room so that each is large and none stands alone in its row. */

const NEARLY = 0.9; // of the largest size is large enough where the grid is tidier

/**
 * @param {number} count - How many pictures there are.
 * @param {number} ratio - Width by height of each.
 * @param {{width: number, height: number, gap: number}} room - In CSS pixels.
 * @returns {number} How many columns: of those that make the pictures nearly as large as can be, those that leave the
 *   fewest places empty, and then the most.
 */
export function columnsFor(count, ratio, { width, height, gap }) {
  const grids = Array.from({ length: count }, (_, index) => {
    const columns = index + 1;
    const rows = Math.ceil(count / columns);
    const across = (width - (columns - 1) * gap) / columns;
    const down = ((height - (rows - 1) * gap) / rows) * ratio;
    return { columns, size: Math.min(across, down), empty: rows * columns - count };
  });
  const largest = Math.max(...grids.map(({ size }) => size));
  const large = grids.filter(({ size }) => size >= largest * NEARLY);
  return large.sort((a, b) => a.empty - b.empty || b.columns - a.columns)[0].columns;
}
