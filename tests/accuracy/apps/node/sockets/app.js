'use strict';
const { createServer } = require('node:http');
const { once } = require('node:events');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');
const { WebSocket, WebSocketServer } = require('ws');

async function main() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const parser = require('socket.io-msgpack-parser');
  const events = new Server(server, { parser });
  events.on('connection', (socket) => socket.on('tea', (what, reply) => reply(what)));
  const client = io(`http://127.0.0.1:${port}`, { parser });
  await client.timeout(5000).emitWithAck('tea', { green: true });
  const plain = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(plain, 'listening');
  plain.on('connection', (socket) => socket.send('x'.repeat(4096)));
  const web = new WebSocket(`ws://127.0.0.1:${plain.address().port}`);
  await once(web, 'message');
  (await import('./truth/tell.mjs')).tell();
}

main();
