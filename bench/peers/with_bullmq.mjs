// BullMQ: one process with 10 jobs at a time, which was faster than two; jobs and their results are kept, as by default.
// `node with_bullmq.mjs worker`, else as client.py says it.
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { Queue, Worker } = require("bullmq");
const { port } = new URL(process.env.PEERS_REDIS);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const [how, count, first] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const file = openSync(process.env.PEERS_TALLY, "r+");
const REST = 20; // ms between two tasks of `latency`
const AT_ONCE = 1000;
const text = "x".repeat(60);

const entry = (number) => {
  const bytes = Buffer.alloc(16);
  readSync(file, bytes, 0, 16, 16 * number);
  return bytes;
};

const ran = async (job) => {
  const bytes = entry(job.data.number);
  if (bytes.readBigInt64LE(0) === 0n) bytes.writeBigInt64LE(process.hrtime.bigint(), 0);
  bytes.writeBigInt64LE(bytes.readBigInt64LE(8) + 1n, 8);
  writeSync(file, bytes, 0, 16, 16 * job.data.number);
};

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function latency(queue, number) {
  await sleep(REST);
  const sent = process.hrtime.bigint();
  await queue.add("noop", { number, text });
  for (;;) {
    const began = entry(number).readBigInt64LE(0);
    if (began !== 0n) return Number(began - sent) / 1e6;
    await sleep(1);
  }
}

async function enqueue() {
  const queue = new Queue("peers", { connection });
  await queue.waitUntilReady();
  const numbers = Array.from({ length: count }, (_, n) => first + n);
  const began = process.hrtime.bigint();
  const spans = [];
  if (how === "many") {
    for (let at = 0; at < count; at += AT_ONCE) {
      const some = numbers.slice(at, at + AT_ONCE);
      await queue.addBulk(some.map((number) => ({ name: "noop", data: { number, text } })));
    }
  } else {
    for (const number of numbers) {
      if (how === "one") await queue.add("noop", { number, text });
      else spans.push(await latency(queue, number));
    }
  }
  const took = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(JSON.stringify(how === "latency" ? spans : took));
  await queue.close();
  closeSync(file);
}

if (how === "worker") {
  const worker = new Worker("peers", ran, { connection, concurrency: 10 });
  process.on("SIGTERM", () => worker.close().then(() => process.exit(0)));
} else {
  await enqueue();
}
