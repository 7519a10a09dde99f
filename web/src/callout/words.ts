// A call as a row of clips: 请 A 零 零 七 号 到 十二 号窗口. Pure. A sign that there is no clip for is passed over; the screen shows it.

/** The clips of a window's number, as people say numbers: 7, 十二, 二十, 一百零三. */
export function numberClips(n: number): string[] {
  if (!Number.isInteger(n) || n < 0 || n > 999) return String(n).split("").filter((c) => /\d/.test(c));
  const hundreds = Math.floor(n / 100);
  const tens = Math.floor((n % 100) / 10);
  const ones = n % 10;
  const out: string[] = [];
  if (hundreds > 0) out.push(String(hundreds), "hundred");
  if (tens > 0) {
    if (tens > 1 || hundreds > 0) out.push(String(tens));
    out.push("ten");
  } else if (hundreds > 0 && ones > 0) out.push("0");
  if (ones > 0 || n === 0) out.push(String(ones));
  return out;
}

/** The clips of a ticket's number, sign by sign, as it is read out. */
export function ticketClips(number: string): string[] {
  return [...number].flatMap((sign) => {
    if (/[0-9]/.test(sign)) return [sign];
    if (/[A-Za-z]/.test(sign)) return [`letter-${sign.toLowerCase()}`];
    return [];
  });
}

/** A whole call. */
export function callClips(number: string, window: number): string[] {
  return ["chime", "please", ...ticketClips(number), "number", "to", ...numberClips(window), "window"];
}
