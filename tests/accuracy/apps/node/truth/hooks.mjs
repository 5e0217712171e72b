// Runs in node's thread for loader hooks: writes down every module that the ES module loader has loaded.
import { openSync, writeSync } from 'node:fs';

let descriptor;

export function initialize(log) {
  descriptor = openSync(log, 'a');
}

export async function load(url, context, nextLoad) {
  const result = await nextLoad(url, context);
  writeSync(descriptor, `${url}\n`);
  return result;
}
