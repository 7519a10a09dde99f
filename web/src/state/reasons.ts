// What the hall and the centre say of a camera or a device, in the reader's language. They speak English sentences of a fixed
// beginning (edge-agent/src/cameras/source.rs and state.rs, control-center/src/live/judge.rs, device-drivers/src/port/mod.rs
// and attendance); what is not known here is
// shown as it came, never hidden.

const KNOWN: [RegExp, string][] = [
  [/^the camera stopped sending pictures/, "why.said.frozen"],
  [/^the camera takes the connection but sends no picture/, "why.said.silent"],
  [/^the camera refuses the user or password/, "why.said.password"],
  [/^the camera has no stream at this address/, "why.said.path"],
  [/^the camera cannot be reached/, "why.said.unreachable"],
  [/^the camera did not (describe|start) its stream/, "why.said.refuses"],
  [/^the camera sends no H\.264/, "why.said.no_video"],
  [/^the camera sends \S+, which browsers cannot play/, "why.said.unplayable"],
  [/^the stream ended/, "why.said.ended"],
  [/^no picture comes any more/, "why.no_frames"],
  [/^the hall's edge agent is not connected/, "why.said.hall"],
  [/^not there \(unplugged/, "pair.why.not_there"],
  [/^no permission \(/, "pair.why.no_permission"],
  [/^connection refused$/, "pair.why.refused"],
  [/^no answer in time$/, "pair.why.no_answer"],
  [/^it hung up \(/, "pair.why.hung_up"],
  [/^another device is in this socket/, "pair.why.another"],
  [/^the terminal refuses the comm key/, "pair.why.key_refused"],
  [/^the terminal asks for its comm key/, "pair.why.key_asked"],
  [/^the terminal did not answer/, "pair.why.no_answer"],
  [/^the terminal closed the connection/, "pair.why.hung_up"],
  [/^the terminal has not called since/, "pair.why.not_called"],
  [/^there is no such thing in your area/, "why.forbidden"],
];

/** A catalogue key for the sentence, or the sentence itself. A key of the catalogue stays what it is. */
export function reason(said: string): string {
  return KNOWN.find(([start]) => start.test(said))?.[1] ?? said;
}

/** Why there is no footage (edge-agent/src/recorder/why.rs), in the reader's language; what is known beyond the code stands behind it. */
export function gapWords(gap: { code: string; why: string | null }, t: (key: string) => string, te: (key: string) => boolean): string {
  const word = te(`gap.${gap.code}`) ? t(`gap.${gap.code}`) : gap.code;
  if (!gap.why) return word;
  const key = reason(gap.why);
  return `${word} · ${te(key) ? t(key) : key}`;
}
