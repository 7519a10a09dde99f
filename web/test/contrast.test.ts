// Text must be readable on what it stands on: WCAG 2.2 contrast, computed from the tokens themselves.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync(new URL("../src/styles/base.css", import.meta.url), "utf8");

function tokens(selector: string): Map<string, string> {
  const block = css.slice(css.indexOf(`${selector} {`)).split("}")[0]!;
  return new Map([...block.matchAll(/--hw-([\w-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1]!, m[2]!]));
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const light = tokens(":root");
const dark = new Map([...light, ...tokens("html.dark")]);

describe.each([["light", light], ["dark", dark]] as const)("%s", (_name, token) => {
  const on = (text: string, ground: string) => contrast(token.get(text)!, token.get(ground)!);

  it.each(["text", "text-2", "text-3", "accent", "good", "call", "rate", "pause", "bad", "idle"])("%s is read on every ground", (text) => {
    for (const ground of ["bg", "panel", "panel-2"]) expect(on(text, ground), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
  });

  it("buttons, marked rows and problems are read", () => {
    expect(on("on-accent", "accent")).toBeGreaterThanOrEqual(4.5);
    expect(on("accent", "accent-soft")).toBeGreaterThanOrEqual(4.5);
    expect(on("bad", "bad-soft")).toBeGreaterThanOrEqual(4.5);
    expect(on("text-2", "bad-soft")).toBeGreaterThanOrEqual(4.5);
  });
});
