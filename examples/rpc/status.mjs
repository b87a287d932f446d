// One call by Node.   node status.mjs SOCKET
import { request } from "node:http";

const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "engine.status" });
const call = request(
  {
    socketPath: process.argv[2],
    path: "/rpc",
    method: "POST",
    headers: { Host: "engine", "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) },
  },
  async (answer) => {
    const parts = [];
    for await (const part of answer) parts.push(part);
    const { result, error } = JSON.parse(Buffer.concat(parts).toString());
    if (error) {
      console.error(error.message);
      process.exit(1);
    }
    console.log(result.activity, result.seq);
  },
);
call.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
call.end(body);
