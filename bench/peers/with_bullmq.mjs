// BullMQ: one process with 10 jobs at a time, which was faster than two; jobs and their results are kept, as by default.
// `node with_bullmq.mjs worker`, else as enqueue.py says it.
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

const add = (queue, number) => queue.add("noop", { number, text });
const addMany = (queue, some) => queue.addBulk(some.map((number) => ({ name: "noop", data: { number, text } })));

async function latency(queue, number) {
  await sleep(REST);
  const sent = process.hrtime.bigint();
  await add(queue, number);
  for (;;) {
    const began = entry(number).readBigInt64LE(0);
    if (began !== 0n) return Number(began - sent) / 1e6;
    await sleep(1);
  }
}

async function enqueue() {
  const queue = new Queue("peers", { connection });
  await queue.waitUntilReady();
  const numbers = Array.from({ length: count - 1 }, (_, n) => first + 1 + n);
  if (how === "latency") {
    await latency(queue, first);
    const spans = [];
    for (const number of numbers) spans.push(await latency(queue, number));
    console.log(JSON.stringify(spans));
  } else {
    await add(queue, first);
    const began = process.hrtime.bigint();
    if (how === "one") for (const number of numbers) await add(queue, number);
    else for (let at = 0; at < numbers.length; at += AT_ONCE) await addMany(queue, numbers.slice(at, at + AT_ONCE));
    console.log(JSON.stringify((numbers.length / Number(process.hrtime.bigint() - began)) * 1e9));
  }
  await queue.close();
  closeSync(file);
}

if (how === "worker") {
  const worker = new Worker("peers", ran, { connection, concurrency: 10 });
  process.on("SIGTERM", () => worker.close().then(() => process.exit(0)));
} else {
  await enqueue();
}
