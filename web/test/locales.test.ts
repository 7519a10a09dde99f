import { expect, it } from "vitest";
import en from "../src/locales/en";
import zh from "../src/locales/zh-CN";

type Tree = { [key: string]: string | string[] | Tree };

function keys(tree: Tree, at = ""): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") out.set(at + key, value);
    else if (Array.isArray(value)) value.forEach((text, i) => out.set(`${at}${key}[${i}]`, text));
    else for (const [k, v] of keys(value, `${at}${key}.`)) out.set(k, v);
  }
  return out;
}

it("both catalogues have the same keys and the same placeholders", () => {
  const a = keys(zh);
  const b = keys(en);
  expect([...b.keys()].sort()).toEqual([...a.keys()].sort());
  const holes = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const [key, text] of a) expect(holes(b.get(key)!), key).toEqual(holes(text));
});
