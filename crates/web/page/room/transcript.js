// The whole conversation of a room as a text or as JSON.

import { get } from '../lib/api.js';
import { h, notify } from '../lib/dom.js';
import { attempt } from '../lib/screen.js';
import { moment, t } from '../lib/words.js';
import { author } from './row.js';

function read(room) {
  return get(`/rooms/${room}/messages?images=none`);
}

function asText(messages) {
  return messages.map((message) => `${author(message)} (${moment(message.timestamp)})\n${message.content}\n`).join('\n');
}

/** Copies the conversation to the clipboard. */
export async function copy(room) {
  const messages = await attempt(() => read(room));
  if (!messages) return;
  await attempt(() => navigator.clipboard.writeText(asText(messages)));
  notify(t('room.copied', { count: messages.length }));
}

/** Saves the conversation as a file. `form` is `txt` or `json`. */
export async function download({ id, name }, form) {
  const messages = await attempt(() => read(id));
  if (!messages) return;
  const text = form === 'json' ? JSON.stringify(messages, null, 2) : asText(messages);
  const type = form === 'json' ? 'application/json' : 'text/plain;charset=utf-8';
  const address = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: address, download: `${name.replace(/[\\/:*?"<>|]/g, '_')}.${form}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
