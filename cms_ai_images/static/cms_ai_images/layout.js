/** How pictures of one shape share a room so that each is as large as can be. */

/**
 * @param {number} count - How many pictures there are.
 * @param {number} ratio - Width by height of each.
 * @param {{width: number, height: number, gap: number}} room - In CSS pixels.
 * @returns {number} The columns with which they are largest; of equally good ones the fewest rows.
 */
export function columnsFor(count, ratio, { width, height, gap }) {
  let best = { columns: 1, size: 0 };
  for (let columns = count; columns >= 1; columns -= 1) {
    const rows = Math.ceil(count / columns);
    const across = (width - (columns - 1) * gap) / columns;
    const down = ((height - (rows - 1) * gap) / rows) * ratio;
    const size = Math.min(across, down);
    if (size > best.size) best = { columns, size };
  }
  return best.columns;
}
