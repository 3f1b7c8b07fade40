// Sends messages. A message is kept in this browser until the server has acknowledged it, and it is
// sent again with the same key, so that it stands in the room exactly once.

import { Failure, connection, post } from '../lib/api.js';
import { sentence } from '../lib/screen.js';
import { caller } from '../lib/session.js';
import { t } from '../lib/words.js';
import { pendingRow } from './row.js';

/** The messages of one room that are being sent. */
export class Sender {
  #room;
  #log;
  #refused;
  #name;
  #sending = new Map();

  /** `refused(body, sentence)` gets a message that the server does not take. */
  constructor(room, log, refused, signal) {
    this.#room = room;
    this.#log = log;
    this.#refused = refused;
    this.#name = `greenroom.sending.${caller.user}.${room}`;
    connection.addEventListener('online', () => this.#sendAll(), { signal });
    signal.addEventListener('abort', () => this.#sending.clear());
    for (const { key, body } of this.#kept()) this.#begin(key, body);
  }

  /** Sends a message. */
  send(body) {
    const key = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
    this.#keep([...this.#kept(), { key, body }]);
    this.#begin(key, body);
  }

  /** Removes the row of a message that the log shows now. */
  arrived(id) {
    for (const [key, message] of this.#sending) {
      if (message.id === id) this.#end(key);
    }
  }

  #begin(key, body) {
    const element = pendingRow(body, () => this.#attempt(key));
    this.#sending.set(key, { body, element, id: null, isUnderWay: false });
    this.#log.addPending(element);
    this.#attempt(key);
  }

  #sendAll() {
    for (const key of this.#sending.keys()) this.#attempt(key);
  }

  async #attempt(key) {
    const message = this.#sending.get(key);
    if (!message || message.isUnderWay || message.id !== null) return;
    message.isUnderWay = true;
    this.#show(message, t('send.sending'), false);
    try {
      const { id } = await post(`/rooms/${this.#room}/messages/send`, message.body, { headers: { 'Idempotency-Key': key } });
      message.id = id;
      this.#forget(key);
      // The row stays until the stream has brought the message.
      if (id <= this.#log.newest) this.#end(key);
    } catch (error) {
      const isRefused = error instanceof Failure && error.status >= 400 && error.status < 500 && ![401, 408, 429].includes(error.status);
      if (isRefused) {
        this.#forget(key);
        this.#end(key);
        this.#refused(message.body, sentence(error));
      } else {
        this.#show(message, sentence(error), true);
      }
    } finally {
      message.isUnderWay = false;
    }
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
