'use strict';
const { ApolloServer } = require('@apollo/server');
const { startStandaloneServer } = require('@apollo/server/standalone');
const { makeExecutableSchema } = require('@graphql-tools/schema');
const DataLoader = require('dataloader');
const { gql } = require('graphql-tag');
const { PubSub } = require('graphql-subscriptions');
const { useServer } = require('graphql-ws/use/ws');
const { WebSocketServer } = require('ws');

async function main() {
  const { DateTimeResolver, typeDefs } = require('graphql-scalars');
  const loader = new DataLoader(async (keys) => keys.map((key) => `tea ${key}`));
  const schema = makeExecutableSchema({
    typeDefs: [gql`type Query { tea(id: ID!): String, now: DateTime } scalar DateTime`],
    resolvers: {
      DateTime: DateTimeResolver,
      Query: { tea: (_, { id }) => loader.load(id), now: () => new Date() },
    },
  });
  new PubSub();
  useServer({ schema }, new WebSocketServer({ noServer: true }));
  const server = new ApolloServer({ schema });
  const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
  const query = { query: '{ tea(id: 1) now }' };
  const headers = { 'content-type': 'application/json' };
  await (await fetch(url, { method: 'POST', headers, body: JSON.stringify(query) })).json();
  await (await fetch(url, { headers: { accept: 'text/html' } })).text(); // the landing page
  if (!typeDefs.length) throw new Error('no scalars');
  (await import('./truth/tell.mjs')).tell();
}

main();
