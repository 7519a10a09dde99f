import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { reason } from "../src/state/reasons";

it("known sentences have words of ours, others stay", () => {
  expect(reason("the camera stopped sending pictures: no frame for 3s")).toBe("why.said.frozen");
  expect(reason("the camera refuses the user or password: set the right one; tried again every minute")).toBe("why.said.password");
  expect(reason("the camera sends H.265, which browsers cannot play: set it to H.264; until then only stills are shown")).toBe("why.said.unplayable");
  expect(reason("it hung up (unplugged, or switched off)")).toBe("pair.why.hung_up");
  expect(reason("why.link")).toBe("why.link");
  expect(reason("something new")).toBe("something new");
});

it("the sentences are still the ones that the programs say", () => {
  const said = ["../../edge-agent/src/cameras/source.rs", "../../edge-agent/src/cameras/state.rs", "../../device-drivers/src/camera/rtsp.rs", "../../device-drivers/src/port/mod.rs", "../../device-drivers/src/port/serial.rs", "../../device-drivers/src/attendance/zk/session.rs", "../../device-drivers/src/attendance/push/server.rs", "../../control-center/src/live/judge.rs", "../../control-center/src/nodes/registry.rs", "../../control-center/src/access/mod.rs"]
    .map((path) => readFileSync(new URL(path, import.meta.url), "utf8")).join("\n");
  for (const start of [
    "the camera stopped sending pictures", "the camera takes the connection but sends no picture", "the camera refuses the user or password", "the camera has no stream at this address",
    "the camera cannot be reached", "the camera did not describe its stream", "the camera sends no H.264", "which browsers cannot play", "the stream ended", "no picture comes any more",
    "not there (unplugged", "no permission (", "connection refused", "no answer in time", "it hung up (", "another device is in this socket", "the terminal refuses the comm key", "the terminal asks for its comm key",
    "the terminal did not answer", "the terminal closed the connection", "the terminal has not called since", "the hall's edge agent is not connected", "there is no such thing in your area",
  ]) expect(said).toContain(start);
});
