'use strict';
// The log is written by pino-pretty in a worker thread; routes are found by a plug-in that imports files.
const path = require('node:path');
const fastify = require('fastify')({
  logger: { level: 'warn', transport: { target: 'pino-pretty', options: { destination: '/dev/null' } } },
});

async function main() {
  for (const name of ['cors', 'helmet', 'cookie', 'sensible', 'rate-limit', 'multipart', 'swagger']) {
    await fastify.register(require(`@fastify/${name}`));
  }
  await fastify.register(require('@fastify/jwt'), { secret: 'secret' });
  await fastify.register(require('@fastify/static'), { root: path.join(__dirname, 'routes') });
  await fastify.register(require('@fastify/view'), { engine: { handlebars: require('handlebars') } });
  await fastify.register(require('@fastify/autoload'), { dir: path.join(__dirname, 'routes') });
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  const base = `http://127.0.0.1:${fastify.server.address().port}`;
  for (const page of ['/teas', '/teas/1', '/nowhere']) await (await fetch(base + page)).text();
  fastify.log.error('done');
  await new Promise((resolve) => setTimeout(resolve, 1000)); // for the thread of the log
  (await import('./truth/tell.mjs')).tell();
}

main();
