'use strict';

module.exports = async (fastify) => {
  const schema = { response: { 200: { type: 'array', items: { type: 'string' } } } };
  fastify.get('/teas', { schema }, async () => ['green', 'black']);
  fastify.get('/teas/:id', async (request, reply) => reply.jwtSign({ id: request.params.id }));
};
