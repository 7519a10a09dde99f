// What the hall and the centre say of a camera, in the reader's language. They speak English sentences of a fixed
// beginning (edge-agent/src/cameras/source.rs and state.rs, control-center/src/live/judge.rs); what is not known here is
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
  [/^there is no such thing in your area/, "why.forbidden"],
];

/** A catalogue key for the sentence, or the sentence itself. A key of the catalogue stays what it is. */
export function reason(said: string): string {
  return KNOWN.find(([start]) => start.test(said))?.[1] ?? said;
}
