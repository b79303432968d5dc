// Drives TypeScript's `@anthropic-ai/sdk` through one scenario and prints what came of it as a list
// in JSON.
//
// It knows how the SDK is used; it refuses to know what it talks to and what the answers should be.
// The address and the credential come from the environment, as the SDK itself reads them; where the
// SDK is installed comes from there too.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const require = createRequire(join(process.env.RELAY_NODE_MODULES, 'scenarios.js'));
const { Anthropic, AnthropicError, APIError, toFile } = require('@anthropic-ai/sdk');

const MODEL = 'claude-opus-5-5';

const LOOKUP = {
  name: 'lookup',
  description: 'Looks a word up.',
  input_schema: {
    type: 'object',
    properties: { word: { type: 'string' } },
    required: ['word'],
  },
};

// A conversation that has not ended by then is a fault.
const MOST_TURNS = 5;

// One result for each call of the tool, in the order of the calls.
function answers(message) {
  const calls = message.content.filter((block) => block.type === 'tool_use');
  return calls.map((call) => ({
    type: 'tool_result',
    tool_use_id: call.id,
    content: `the meaning of ${call.input.word}`,
  }));
}

// One turn, as a message and the kinds of its events.
async function ask(client, request, streamed, events) {
  if (!streamed) return client.messages.create(request);
  const stream = client.messages.stream(request);
  for await (const event of stream) events.push(event.type);
  return stream.finalMessage();
}

// Talks until the model calls no more tools.
async function converse(client, options) {
  const messages = [{ role: 'user', content: options.prompt }];
  const turns = [];
  const events = [];
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const request = { model: MODEL, max_tokens: 4096, messages, tools: [LOOKUP] };
    if (options.thinking) request.thinking = { type: 'adaptive' };
    const message = await ask(client, request, options.streamed, events);
    turns.push(message);
    if (message.stop_reason !== 'tool_use') return { turns, events };
    messages.push({ role: 'assistant', content: message.content });
    messages.push({ role: 'user', content: answers(message) });
  }
  throw new Error(`the conversation goes on after ${MOST_TURNS} turns`);
}

// A burst of token counts, all at once.
async function count(client, options) {
  const calls = Array.from({ length: options.size }, (_, number) =>
    client.messages.countTokens({
      model: MODEL,
      messages: [{ role: 'user', content: options.prompt.repeat(number + 1) }],
    }),
  );
  return { counts: (await Promise.all(calls)).map((answer) => answer.input_tokens) };
}

// Every model, by pages of three, and the first of them by its id.
async function models(client) {
  const listed = [];
  for await (const model of client.models.list({ limit: 3 })) listed.push(model.id);
  return { models: listed, first: (await client.models.retrieve(listed[0])).id };
}

// Uploads a file, asks about it several times, and removes it.
async function files(client, options) {
  const file = await client.files.upload({
    file: await toFile(Buffer.from('marmalade'), 'note.txt', { type: 'text/plain' }),
  });
  const document = { type: 'document', source: { type: 'file', file_id: file.id } };
  const content = [document, { type: 'text', text: options.prompt }];
  const request = { model: MODEL, max_tokens: 256, messages: [{ role: 'user', content }] };
  const texts = [];
  for (let number = 0; number < options.size; number += 1) {
    texts.push((await client.messages.create(request)).content.at(-1).text);
  }
  const size = (await client.files.retrieveMetadata(file.id)).size_bytes;
  const removed = (await client.files.delete(file.id)).id === file.id;
  return { texts, size, removed };
}

// A batch is made, and looked at.
async function batch(client, options) {
  const params = { model: MODEL, max_tokens: 256, messages: [{ role: 'user', content: options.prompt }] };
  const requests = Array.from({ length: options.size }, (_, number) => ({ custom_id: `number-${number}`, params }));
  const made = await client.messages.batches.create({ requests });
  const status = (await client.messages.batches.retrieve(made.id)).processing_status;
  return { id: made.id, status };
}

// The results of a batch which was made before.
async function results(client, options) {
  const rows = {};
  for await (const row of await client.messages.batches.results(options.prompt)) {
    rows[row.custom_id] = row.result.message.content.at(-1).text;
  }
  return { results: rows };
}

const SCENARIOS = { converse, count, models, files, batch, results };

// An error as the SDK's user sees it.
function describe(error) {
  const described = { class: error.constructor.name, message: error.message };
  if (error instanceof APIError) {
    described.status = error.status;
    described.body = error.error;
    described.retry_after = error.headers?.get('retry-after');
    described.should_retry = error.headers?.get('x-should-retry');
    described.request_id = error.requestID;
  }
  return described;
}

// The scenario once: what came of it, or the error that the SDK reported.
async function play(client, scenario, options) {
  try {
    return await SCENARIOS[scenario](client, options);
  } catch (error) {
    if (!(error instanceof AnthropicError)) throw error;
    return { error: describe(error) };
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      prompt: { type: 'string', default: 'hello' },
      streamed: { type: 'boolean', default: false },
      thinking: { type: 'boolean', default: false },
      // How many of what the scenario is about, and how often all of it.
      size: { type: 'string', default: '1' },
      repeat: { type: 'string', default: '1' },
      retries: { type: 'string', default: '0' },
    },
  });
  const options = { ...values, size: Number(values.size) };
  const client = new Anthropic({ maxRetries: Number(values.retries) });
  const outcomes = [];
  for (let time = 0; time < Number(values.repeat); time += 1) {
    outcomes.push(await play(client, positionals[0], options));
  }
  console.log(JSON.stringify(outcomes));
}

await main();
