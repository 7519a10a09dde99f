import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { shown, type Call } from "../src/callout/follow";
import { callClips, numberClips, ticketClips } from "../src/callout/words";

it("windows are said as numbers, tickets sign by sign", () => {
  expect(numberClips(7)).toEqual(["7"]);
  expect(numberClips(10)).toEqual(["ten"]);
  expect(numberClips(12)).toEqual(["ten", "2"]);
  expect(numberClips(20)).toEqual(["2", "ten"]);
  expect(numberClips(103)).toEqual(["1", "hundred", "0", "3"]);
  expect(numberClips(110)).toEqual(["1", "hundred", "1", "ten"]);
  expect(ticketClips("A-007")).toEqual(["letter-a", "0", "0", "7"]);
});

it("there is a clip for every word that can be said", () => {
  for (let window = 1; window <= 999; window += 1) {
    for (const name of callClips("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", window)) {
      expect(existsSync(new URL(`../src/callout/clips/${name}.ogg`, import.meta.url)), name).toBe(true);
    }
  }
});

it("the screen keeps the newest call of each ticket, eight at most", () => {
  const call = (id: string, number: string): Call => ({ id, number, window: 1, window_name: "", kind: "call", at: "" });
  let calls: Call[] = [];
  for (let i = 0; i < 10; i += 1) calls = shown(calls, call(String(i), `A${i}`));
  expect(calls.map((c) => c.number)).toEqual(["A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9"]);
  calls = shown(calls, call("x", "A4"));
  expect(calls.at(-1)!.number).toBe("A4");
  expect(calls).toHaveLength(8);
});
