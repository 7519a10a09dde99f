// The reader of marks must read what is drawn and nothing else: the site's tests stand on it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readMark } from "./mark.mjs";

function crc(number) {
  let value = 0xff;
  for (const byte of [number >> 8, number & 0xff]) {
    value ^= byte;
    for (let i = 0; i < 8; i += 1) value = value & 0x80 ? ((value << 1) ^ 0x07) & 0xff : (value << 1) & 0xff;
  }
  return value;
}

function drawn(number, width, height, spoil = 0) {
  const bits = number.toString(2).padStart(16, "0") + (0xa6).toString(2) + (crc(number) ^ spoil).toString(2).padStart(8, "0");
  const rgba = new Uint8ClampedArray(width * height * 4).fill(120);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const column = Math.floor(((x + 0.5) / width - 0.1) / (0.8 / 16));
      const row = Math.floor(((y + 0.5) / height - 0.16) / 0.06);
      if (column < 0 || column > 15 || row < 0 || row > 1) continue;
      rgba.fill(bits[row * 16 + column] === "1" ? 235 : 16, (y * width + x) * 4, (y * width + x) * 4 + 3);
    }
  }
  return rgba;
}

test("a drawn mark is read at every size", () => {
  for (const number of [0, 1, 9, 101, 310, 65_535]) {
    for (const [width, height] of [[160, 90], [320, 180], [640, 360], [1280, 720]]) {
      assert.equal(readMark(drawn(number, width, height), width, height), number);
    }
  }
});

test("a spoilt mark, a flat picture and noise are not read", () => {
  assert.equal(readMark(drawn(7, 320, 180, 0x10), 320, 180), null);
  assert.equal(readMark(new Uint8ClampedArray(320 * 180 * 4).fill(90), 320, 180), null);
  const noise = new Uint8ClampedArray(320 * 180 * 4);
  let state = 12_345;
  for (let i = 0; i < noise.length; i += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    noise[i] = state >> 16;
  }
  assert.equal(readMark(noise, 320, 180), null);
});
