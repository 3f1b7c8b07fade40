// Sends messages, one after the other. A message is kept in this browser until the server has
// acknowledged it, and it is sent again with the same key, so that it stands in the room exactly once.

import { Failure, post } from '../lib/api.js';
import { sentence } from '../lib/screen.js';
import { caller, draft, keepDraft } from '../lib/session.js';
import { pause } from '../lib/stream.js';
import { t } from '../lib/words.js';
import { pendingRow } from './row.js';

/** The server remembers the key of a message for a day. An older one is not sent again by itself. */
const MOST_AGE = 23 * 3600 * 1000;
/** The pauses before a message is sent again, in seconds. */
const PAUSES = [1, 2, 5, 10, 30];

/** The messages of one room that are being sent. */
export class Sender {
  #room;
  #log;
  #refused;
  #signal;
  #user = caller.user;
  #name;
  #sending = new Map();
  #isRunning = false;
  /** Ends the pause before the next attempt. */
  #hurry = new AbortController();

  /** `refused(body, sentence)` gets a message that the server does not take. */
  constructor(room, log, refused, signal) {
    this.#room = room;
    this.#log = log;
    this.#refused = refused;
    this.#signal = signal;
    this.#name = `greenroom.sending.${this.#user}.${room}`;
  }

  /** Sends the messages that an earlier visit has left. */
  resume() {
    for (const { key, body, at } of this.#kept()) {
      if (Date.now() - at < MOST_AGE) {
        this.#add(key, body);
      } else {
        this.#forget(key);
        this.#refused(body, t('send.old'));
      }
    }
    this.#run();
  }

  /** Sends a message. */
  send(body) {
    const key = crypto.randomUUID?.() ?? `${Date.now()}-${String(Math.random()).slice(2)}`;
    this.#keep([...this.#kept(), { key, body, at: Date.now() }]);
    this.#add(key, body);
    this.#run();
  }

  /** Removes the rows of messages that the log shows now. */
  settle() {
    for (const [key, { id }] of this.#sending) {
      if (id !== null && id <= this.#log.newest) this.#end(key);
    }
  }

  #add(key, body) {
    const element = pendingRow(body, () => this.#hurry.abort());
    this.#sending.set(key, { body, element, id: null });
    this.#log.addPending(element);
  }

  /** Sends the messages in their order. A message waits until the one before it is stored. */
  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    let failures = 0;
    for (;;) {
      const next = [...this.#sending].find(([, { id }]) => id === null);
      if (!next || this.#signal.aborted) break;
      const wait = await this.#attempt(...next);
      if (wait === null) {
        failures = 0;
        continue;
      }
      this.#hurry = new AbortController();
      const usual = PAUSES[Math.min(failures, PAUSES.length - 1)];
      await pause(Math.max(wait, usual), AbortSignal.any([this.#signal, this.#hurry.signal]));
      failures += 1;
    }
    this.#isRunning = false;
  }

  /** Sends one message. Returns the least seconds before the next attempt; null if none is needed. */
  async #attempt(key, message) {
    this.#show(message, t('send.sending'), false);
    const options = { headers: { 'Idempotency-Key': key } };
    try {
      const { id } = await post(`/rooms/${this.#room}/messages/send`, message.body, options);
      message.id = id;
      this.#forget(key);
      // Otherwise the row stays until the stream has brought the message.
      this.settle();
      return null;
    } catch (error) {
      const status = error instanceof Failure ? error.status : 0;
      if (status >= 400 && status < 500 && ![401, 408, 429].includes(status)) {
        this.#forget(key);
        this.#end(key);
        this.#giveBack(message.body, sentence(error));
        return null;
      }
      this.#show(message, sentence(error), true);
      return error.retryAfter ?? 0;
    }
  }

  /** Puts a refused message back, also if its writer has left the room meanwhile. */
  #giveBack(body, reason) {
    if (!this.#signal.aborted) this.#refused(body, reason);
    else if (caller?.user === this.#user) keepDraft(this.#room, [body.content, draft(this.#room)].filter(Boolean).join('\n'));
  }

  #show({ element }, text, mayRepeat) {
    element.querySelector('[data-state]').textContent = text;
    element.querySelector('button').hidden = !mayRepeat;
  }

  #end(key) {
    this.#sending.get(key)?.element.remove();
    this.#sending.delete(key);
  }

  #kept() {
    return JSON.parse(localStorage.getItem(this.#name) ?? '[]');
  }

  #keep(list) {
    try {
      if (list.length) localStorage.setItem(this.#name, JSON.stringify(list));
      else localStorage.removeItem(this.#name);
    } catch {
      // The browser's storage is full, for example because of images. The message is sent all the
      // same, but would not survive a reload.
    }
  }

  #forget(key) {
    this.#keep(this.#kept().filter((kept) => kept.key !== key));
  }
}
