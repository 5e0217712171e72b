'use strict';
// Nobody answers: what matters is what a client loads until it asks, and which providers it asks for late.
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
const { DynamoDBDocumentClient, GetCommand } = require('@aws-sdk/lib-dynamodb');
const { GetObjectCommand, S3Client } = require('@aws-sdk/client-s3');
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner');

const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
const settings = { region: 'eu-central-1', endpoint: 'http://127.0.0.1:9', maxAttempts: 1 };

async function main() {
  const s3 = new S3Client({ ...settings, credentials });
  await getSignedUrl(s3, new GetObjectCommand({ Bucket: 'teas', Key: 'green' }));
  const documents = DynamoDBDocumentClient.from(new DynamoDBClient({ ...settings, credentials }));
  await documents.send(new GetCommand({ TableName: 'teas', Key: { id: 1 } })).catch(() => {});
  const { ReceiveMessageCommand, SQSClient } = require('@aws-sdk/client-sqs');
  const sqs = new SQSClient(settings); // without credentials: the chain of providers loads one by one
  await sqs.send(new ReceiveMessageCommand({ QueueUrl: 'http://127.0.0.1:9/q' })).catch(() => {});
  const { fromNodeProviderChain } = require('@aws-sdk/credential-providers');
  await fromNodeProviderChain()().catch(() => {});
  (await import('./truth/tell.mjs')).tell();
}

main();
