// Sends requests to the server. All addresses are relative to the page, so that it also works
// behind a path.

import * as session from './session.js';

const TOP = new URL('../', document.baseURI);

/** The number of reads of this tab, and how many of them the server answered from memory. */
export const reads = { all: 0, fromMemory: 0 };

/**
 * Events of the connection: `offline`, `online`, `waiting` (its detail is the time of the next
 * attempt) and `retry` (connect now).
 */
export const connection = new EventTarget();
let isOnline = true;

/** A request that was refused, or that did not reach the server (`status` is 0). */
export class Failure extends Error {
  constructor(status, detail, { request, retryAfter } = {}) {
    super(detail);
    this.status = status;
    this.request = request;
    this.retryAfter = retryAfter;
  }
}

/** Returns the address of a path of the interface. */
export function address(path) {
  return new URL(path.replace(/^\//, ''), TOP).href;
}

/** Notes if the server is reached, and tells the listeners of `connection` of a change. */
function setOnline(online) {
  if (online === isOnline) return;
  isOnline = online;
  connection.dispatchEvent(new Event(online ? 'online' : 'offline'));
}

/**
 * Sends a request with the caller's token and returns the response.
 *
 * Throws a `Failure` if the server refuses it or is not reached. A token that is no longer accepted
 * ends the session.
 */
export async function send(method, path, { body, headers = {}, signal } = {}) {
  const sent = session.caller?.token;
  const all = { ...headers };
  if (sent) all['X-API-Key'] = sent;
  if (body !== undefined) all['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(address(path), {
      method, headers: all, signal, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    setOnline(false);
    throw new Failure(0, String(error.message));
  }
  setOnline(true);
  const status = response.headers.get('Cache-Status');
  if (status) {
    reads.all += 1;
    if (/;\s*hit/.test(status)) reads.fromMemory += 1;
  }
  if (response.ok) return response;
  // The token may have been replaced while the request was under way.
  if (response.status === 401 && sent && session.caller?.token === sent) session.forget();
  throw await failure(response);
}

async function failure(response) {
  const { status, headers } = response;
  const answer = await response.json().catch(() => ({}));
  const detail = typeof answer.detail === 'string' ? answer.detail : `HTTP ${status}`;
  return new Failure(status, detail, {
    request: headers.get('X-Request-Id'),
    retryAfter: Number(headers.get('Retry-After')) || undefined,
  });
}

/** Sends a request and returns the JSON of the response. */
export async function json(method, path, options) {
  return (await send(method, path, options)).json();
}

export const get = (path, options) => json('GET', path, options);
export const post = (path, body = {}, options = {}) => json('POST', path, { body, ...options });
export const patch = (path, body, options = {}) => json('PATCH', path, { body, ...options });
export const del = (path, options) => json('DELETE', path, options);

/** Returns the address of an agent's picture, which needs no token; null without a picture. */
export function picture(name, profilePic) {
  return profilePic ? address(`agents/${encodeURIComponent(name)}/profile-pic`) : null;
}
