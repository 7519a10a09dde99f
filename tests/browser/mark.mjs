// Reads the block code that every simulated camera draws into its pictures; geometry and check as in
// tests/simulated-hall/src/footage/mark.rs. `readMark` is handed to the page as text, so it uses nothing outside itself.

/** The number in RGBA pixels, or null where there is no mark whose sync and check agree. */
export function readMark(rgba, width, height) {
  const LEFT = 0.1, TOP = 0.16, WIDTH = 0.8, ROW = 0.06, COLUMNS = 16, SYNC = 0xa6;
  const cellWidth = (WIDTH * width) / COLUMNS;
  const cellHeight = ROW * height;
  const levels = [];
  for (let row = 0; row < 2; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      const left = LEFT * width + cellWidth * column;
      const top = TOP * height + cellHeight * row;
      let sum = 0;
      let count = 0;
      for (let y = Math.floor(top + cellHeight * 0.35); y < Math.max(Math.ceil(top + cellHeight * 0.65), Math.floor(top + cellHeight * 0.35) + 1); y += 1) {
        for (let x = Math.floor(left + cellWidth * 0.35); x < Math.max(Math.ceil(left + cellWidth * 0.65), Math.floor(left + cellWidth * 0.35) + 1); x += 1) {
          const at = (y * width + x) * 4;
          sum += rgba[at] + rgba[at + 1] + rgba[at + 2];
          count += 3;
        }
      }
      levels.push(sum / count);
    }
  }
  const darkest = Math.min(...levels);
  const brightest = Math.max(...levels);
  if (brightest - darkest < 60) return null;
  const bits = levels.map((level) => (level > (darkest + brightest) / 2 ? 1 : 0));
  const number = (from, length) => bits.slice(from, from + length).reduce((value, bit) => value * 2 + bit, 0);
  const mark = number(0, 16);
  let crc = 0xff;
  for (const byte of [mark >> 8, mark & 0xff]) {
    crc ^= byte;
    for (let i = 0; i < 8; i += 1) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
  }
  return number(16, 8) === SYNC && number(24, 8) === crc ? mark : null;
}
