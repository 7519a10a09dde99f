// Reads a ZK terminal by one of two libraries and prints what it says, one JSON object:
// node zk_reader.mjs (zkteco-js|node-zklib) PORT. To be run with TZ=UTC: the libraries make dates of the machine's zone.
import { createRequire } from "node:module";
import { Socket } from "node:net";

// Both libraries take whatever one read of the socket gives as one packet. A terminal acknowledges the end of a bulk read, which
// they do not wait for, and then the next request: where this program is late, one read gives both packets, the library sees
// an acknowledgement alone and waits for an answer that it has thrown away. So each packet is given to them by itself.
const HEAD = 8;
const emit = Socket.prototype.emit;
Socket.prototype.emit = function (event, ...said) {
  if (event !== "data") return emit.call(this, event, ...said);
  const waiting = (this.packets ??= { bytes: Buffer.alloc(0), busy: false });
  waiting.bytes = Buffer.concat([waiting.bytes, said[0]]);
  if (!waiting.busy) nextPacket(this, waiting);
  return true;
};

function nextPacket(socket, waiting) {
  const length = waiting.bytes.length < HEAD ? Infinity : HEAD + waiting.bytes.readUInt32LE(4);
  waiting.busy = waiting.bytes.length >= length;
  if (!waiting.busy) return;
  const packet = waiting.bytes.subarray(0, length);
  waiting.bytes = waiting.bytes.subarray(length);
  emit.call(socket, "data", packet);
  // What a library does about a packet, it does before the next one.
  setImmediate(() => nextPacket(socket, waiting));
}

const [library, port] = process.argv.slice(2);
// The libraries write what they do to standard output, which is ours.
const say = process.stdout.write.bind(process.stdout);
console.log = console.info = console.error;

const Terminal = createRequire(import.meta.url)(library);
const terminal = new Terminal("127.0.0.1", Number(port), 20000, 5200);
const local = (time) => new Date(time).toISOString().slice(0, 19);
await terminal.createSocket();
const info = await terminal.getInfo();
const users = (await terminal.getUsers()).data;
const records = (await terminal.getAttendances()).data;
const said = {
  info,
  users: users.map((user) => [user.uid, String(user.userId)]),
  records: records.map((r) => [String(r.user_id ?? r.deviceUserId), local(r.record_time ?? r.recordTime)]),
};
say(`${JSON.stringify(said)}\n`, async () => {
  await terminal.disconnect();
  process.exit(0);
});
