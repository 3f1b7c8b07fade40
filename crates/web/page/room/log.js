// The messages of a room: a window on the log, the drafts of agents that compose, and the messages
// that are being sent.

import { del, get } from '../lib/api.js';
import { announce, button, h, icon, notify } from '../lib/dom.js';
import { confirm } from '../lib/dialog.js';
import { attempt, sentence } from '../lib/screen.js';
import { settings } from '../lib/session.js';
import { RowWindow } from '../lib/window.js';
import { t } from '../lib/words.js';
import { Drafts } from './drafts.js';
import { author, markDays, row } from './row.js';

/** The number of messages that one request reads. */
const PAGE = 50;
/** The number of messages of the stream that are remembered, for reads that end meanwhile. */
const RECENT = 300;

/** The log of one room. */
export class Log {
  /** The id of the newest message that is known, after which the event stream resumes. */
  newest = 0;
  #room;
  #signal;
  #opened;
  #rows = h('div', { class: 'rows' });
  #empty = h('div', { class: 'empty', hidden: true });
  #pending = h('div', { class: 'pending-rows' });
  #window;
  #below;
  #unseen = 0;
  #lastRead = null;
  /** The newest messages of the stream, whether they have a row or not. */
  #recent = [];
  /** The ids of messages that were removed while this log was open. */
  #removed = new Set();
  /** The number of times that the room was cleared. */
  #clears = 0;

  /** `opened()` is called whenever the newest messages were read. */
  constructor(room, opened, signal) {
    this.#room = room;
    this.#opened = opened;
    this.#signal = signal;
    this.drafts = new Drafts();
    this.scroller = h('div', {
      class: 'scroller', role: 'log', 'aria-live': 'off', 'aria-label': t('room.messages'), tabindex: '0',
      on: { keydown: (event) => this.#keydown(event) },
    }, h('div', { class: 'column' }, this.#empty, this.#rows, this.#pending, this.drafts.element));
    this.#below = button('', () => this.toEnd(), { class: 'below', hidden: true });
    this.element = h('div', { class: 'log' }, this.scroller, this.#below);
    this.#window = new RowWindow(this.scroller, this.#rows, {
      older: (first) => this.#page(`messages?before=${first.dataset.id}`),
      newer: (last) => this.#page(`messages/poll?since_id=${last.dataset.id}`),
      reachedEnd: () => this.#window.push(this.#since(this.#lastId())),
      changed: () => this.#showBelow(),
      arrange: () => this.#arrange(),
    }, signal);
  }

  /** True if the reader sees the newest message. */
  get isAtEnd() {
    return this.#window.isFollowing;
  }

  /**
   * Reads the newest messages. `lastRead` is the time up to which the caller has read. Throws if they
   * cannot be read; the log then stays as it is.
   */
  async open(lastRead) {
    this.#lastRead = lastRead;
    let clears;
    let rows;
    do {
      clears = this.#clears;
      rows = await this.#read('messages?');
    } while (clears !== this.#clears);
    // Messages that the stream has brought meanwhile.
    const all = [...rows, ...this.#since(rows.at(-1)?.message.id ?? 0)];
    this.newest = Math.max(this.newest, ...all.map(({ message }) => message.id));
    this.#window.fill(all, rows.length === 0);
    this.scroller.dataset.ready = 'true';
    this.#opened();
  }

  /** Shows what stands in a room without messages. */
  describeEmpty(...children) {
    this.#empty.replaceChildren(...children);
    this.#arrange();
  }

  /** Adds a message that the stream brought. */
  receive(message) {
    if (message.id <= this.newest) return;
    this.newest = message.id;
    this.#recent.push(message);
    if (this.#recent.length > RECENT) this.#recent.shift();
    if (this.#window.hasNewest) this.#window.push([row(message, this)]);
    if (!this.isAtEnd) {
      this.#unseen += 1;
      this.#showBelow();
    }
    if (message.agent_name) this.#say(message);
    // A long answer is read from its beginning.
    const element = this.#rows.lastElementChild;
    if (!settings.follow && this.isAtEnd && element?.offsetHeight > this.scroller.clientHeight) {
      element.scrollIntoView({ block: 'start' });
      this.#window.stay();
    }
  }

  /** Removes all messages. */
  clear() {
    this.#clears += 1;
    this.#recent = [];
    this.#window.fill([], true);
  }

  /** Removes one message. */
  removed(id) {
    this.#removed.add(id);
    this.#rows.querySelector(`:scope > [data-id="${id}"]`)?.remove();
    this.#arrange();
  }

  /** Adds the row of a message that is being sent. */
  addPending(element) {
    this.#pending.append(element);
    this.toEnd();
    this.#arrange();
  }

  /** Shows the newest message, and follows the log. */
  async toEnd() {
    if (!this.#window.hasNewest) await attempt(() => this.open(this.#lastRead));
    this.#window.toEnd();
    this.#showBelow();
  }

  /** Asks, and deletes a message. */
  async remove(message) {
    if (await confirm(t('message.delete'), t('message.delete-ask', { name: author(message) }), t('delete'))) {
      await attempt(() => del(`/rooms/${this.#room}/messages/${message.id}`));
    }
  }

  /** Reads a page for the window. Says why, and throws, if it cannot be read. */
  async #page(path) {
    try {
      return await this.#read(path);
    } catch (error) {
      if (!this.#signal.aborted) notify(sentence(error));
      throw error;
    }
  }

  async #read(path) {
    const options = { signal: this.#signal };
    const separator = path.endsWith('?') ? '' : '&';
    const messages = await get(`/rooms/${this.#room}/${path}${separator}images=none&limit=${PAGE}`, options);
    return this.#rowsOf(messages);
  }

  /** Returns rows of the stream's messages after the one with this id. */
  #since(id) {
    return this.#rowsOf(this.#recent.filter((message) => message.id > id));
  }

  #rowsOf(messages) {
    return messages.filter(({ id }) => !this.#removed.has(id)).map((message) => row(message, this));
  }

  #lastId() {
    return this.#rows.lastElementChild?.message.id ?? 0;
  }

  #arrange() {
    markDays(this.#rows.children, this.#lastRead);
    this.#empty.hidden = this.#rows.childElementCount + this.#pending.childElementCount > 0;
  }

  #showBelow() {
    if (this.isAtEnd) this.#unseen = 0;
    this.#below.hidden = this.isAtEnd;
    const text = this.#unseen > 0 ? t('room.below', { count: this.#unseen }) : t('room.to-end');
    if (this.#below.dataset.text === text) return;
    this.#below.dataset.text = text;
    this.#below.replaceChildren(icon('down'), text);
  }

  #say(message) {
    if (settings.announce === 'off') return;
    const name = author(message);
    announce(settings.announce === 'name' ? t('room.answered', { name }) : `${name}: ${message.content}`);
  }

  #keydown(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...this.#rows.querySelectorAll('article')];
    const at = all.indexOf(document.activeElement);
    // Keys inside of a message, for example on a link, keep their meaning.
    if (at < 0 && document.activeElement !== this.scroller) return;
    const next = {
      ArrowUp: at < 0 ? all.at(-1) : all[at - 1],
      ArrowDown: at < 0 ? undefined : all[at + 1],
      Home: all[0],
      End: all.at(-1),
    }[event.key];
    if (event.key === 'End') this.toEnd();
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: event.key === 'End' });
    if (event.key !== 'End') next.scrollIntoView({ block: 'nearest' });
  }
}
