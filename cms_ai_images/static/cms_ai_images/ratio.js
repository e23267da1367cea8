/** How people name the shape of a picture. */

const USUAL = [
  [1, 1],
  [5, 4],
  [4, 3],
  [3, 2],
  [16, 10],
  [16, 9],
  [2, 1],
  [21, 9],
];

/** `1344, 768` is `16:9` to a reader: the usual ratio within 3 %, else the pixels. */
export function ratioName(width, height) {
  const [long, short] = width >= height ? [width, height] : [height, width];
  const near = USUAL.find(([a, b]) => Math.abs(long / short / (a / b) - 1) < 0.03);
  if (!near) return `${width} × ${height}`;
  const [a, b] = near;
  return width >= height ? `${a}:${b}` : `${b}:${a}`;
}
