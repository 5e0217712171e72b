// Runs in node's thread for loader hooks: tells every module that the ES module loader has loaded.
let port;

export function initialize(data) {
  port = data.port;
}

export async function load(url, context, nextLoad) {
  const result = await nextLoad(url, context);
  port.postMessage(url);
  return result;
}
