// Reads event streams by `fetch`, because `EventSource` cannot send a token and gives up at a
// refusal. A tab has at most one stream, and none while it is hidden for long.

import * as api from './api.js';

/** The pauses between attempts to connect, in seconds. */
const PAUSES = [1, 2, 5, 10, 30];
/** The server sends a comment every 15 seconds. After this silence, the connection is dead. */
const SILENCE = 40_000;
/** A tab that is hidden for this time ends its stream. */
const HIDDEN = 30_000;

/** Parses the text of an event stream, which arrives in pieces. */
class EventParser {
  #rest = '';
  #event = {};

  /** Adds a piece, and returns the events that are complete now. */
  push(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    const events = [];
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.#event.data !== undefined) events.push({ event: 'message', ...this.#event });
        this.#event = {};
        continue;
      }
      const at = line.indexOf(':');
      if (at === 0) continue;
      const name = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
      if (name === 'data') this.#event.data = this.#event.data === undefined ? value : `${this.#event.data}\n${value}`;
      else if (name === 'event' || name === 'id') this.#event[name] = value;
    }
    return events;
  }
}

/**
 * Follows an event stream until `signal` aborts, and connects again when it is cut.
 *
 * `path` returns the address for each connection, so that it can name the last event. `receive` gets
 * the name, the parsed data and the id of each event. `headers` returns further headers for each
 * connection. `refused` is called with the failure when the server refuses for good.
 */
export async function follow(path, { signal, receive, refused, headers = () => ({}) }) {
  let failures = 0;
  while (!signal.aborted) {
    if (!await becomesVisible(signal)) return;
    const hidden = hiddenSignal();
    let wait = 0;
    try {
      const both = AbortSignal.any([signal, hidden.signal]);
      // The server ends each stream after some time, and the next connection succeeds at once.
      await read(path(), headers(), both, (...event) => {
        failures = 0;
        receive(...event);
      });
      failures += 1;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof api.Failure && [401, 403, 404].includes(error.status)) {
        refused(error);
        return;
      }
      if (!hidden.signal.aborted) failures += 1;
      wait = error.retryAfter ?? 0;
    } finally {
      hidden.end();
    }
    if (failures > 0 && !signal.aborted) {
      const usual = failures === 1 ? 0.2 : PAUSES[Math.min(failures - 1, PAUSES.length) - 1] * (0.8 + 0.4 * Math.random());
      await pause(Math.max(wait, usual), signal);
    }
  }
}

async function read(path, headers, signal, receive) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  let reader = null;
  try {
    const any = AbortSignal.any([signal, silence.signal]);
    const response = await api.send('GET', path, { signal: any, headers: { Accept: 'text/event-stream', ...headers } });
    reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      for (const { event, data, id } of parser.push(value)) receive(event, JSON.parse(data), id);
    }
  } finally {
    clearTimeout(timer);
    reader?.cancel().catch(() => {});
  }
}

/** Waits until the tab is visible. Returns false if `signal` aborts first. */
function becomesVisible(signal) {
  return new Promise((resolve) => {
    if (document.visibilityState === 'visible') return resolve(true);
    const changed = () => document.visibilityState === 'visible' && finish(true);
    const aborted = () => finish(false);
    const finish = (visible) => {
      document.removeEventListener('visibilitychange', changed);
      signal.removeEventListener('abort', aborted);
      resolve(visible);
    };
    document.addEventListener('visibilitychange', changed);
    signal.addEventListener('abort', aborted);
  });
}

/** Returns a signal that aborts when the tab was hidden for some time. `end` stops watching. */
function hiddenSignal() {
  const controller = new AbortController();
  let timer = null;
  const changed = () => {
    clearTimeout(timer);
    if (document.visibilityState === 'hidden') timer = setTimeout(() => controller.abort(), HIDDEN);
  };
  document.addEventListener('visibilitychange', changed);
  const end = () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', changed);
  };
  return { signal: controller.signal, end };
}

/** Waits some seconds, or until the reader or the browser wants to connect at once. */
export function pause(seconds, signal) {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      window.removeEventListener('online', finish);
      api.connection.removeEventListener('retry', finish);
      api.connection.removeEventListener('online', finish);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, seconds * 1000);
    window.addEventListener('online', finish);
    api.connection.addEventListener('retry', finish);
    api.connection.addEventListener('online', finish);
    signal.addEventListener('abort', finish);
    api.connection.dispatchEvent(new CustomEvent('waiting', { detail: Date.now() + seconds * 1000 }));
  });
}
