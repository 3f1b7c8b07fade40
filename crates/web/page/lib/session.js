// Holds the caller's token, the settings of this browser, and unsent texts.

const TOKEN = 'greenroom.session';
const SETTINGS = 'greenroom.settings';
const DRAFT = 'greenroom.draft.';
/** The beginnings of the names of unsent texts. */
const UNSENT = [DRAFT, 'greenroom.sending.'];

const DEFAULTS = {
  theme: 'system', language: '', enterSends: true, follow: true, announce: 'whole',
  thinkingOpen: false, textSize: 'normal', motion: 'system',
};

/** The caller: `token`, `role` and `user`, or null before the login. */
export let caller = readCaller();

/** The settings of this browser. */
export const settings = { ...DEFAULTS, ...read(localStorage, SETTINGS) };

/** Events of the session: `changed` after a login or the end of a session. */
export const events = new EventTarget();

const tabs = new BroadcastChannel('greenroom');
tabs.addEventListener('message', ({ data }) => {
  if (data === 'signed-out' && caller) forget();
});

function readCaller() {
  return read(sessionStorage, TOKEN) ?? read(localStorage, TOKEN);
}

function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

/** Returns true if the caller is the administrator. */
export function isAdmin() {
  return caller?.role === 'admin';
}

/** Keeps a login: for this tab, or with `stays` until the token ends. */
export function signIn({ api_key, role, user_id }, stays) {
  caller = { token: api_key, role, user: user_id, at: Date.now() };
  const text = JSON.stringify(caller);
  sessionStorage.setItem(TOKEN, text);
  if (stays) localStorage.setItem(TOKEN, text);
  events.dispatchEvent(new Event('changed'));
}

/** Keeps a new token of the same user. */
export function renew({ api_key }) {
  caller = { ...caller, token: api_key, at: Date.now() };
  const text = JSON.stringify(caller);
  sessionStorage.setItem(TOKEN, text);
  if (localStorage.getItem(TOKEN)) localStorage.setItem(TOKEN, text);
}

/** Returns true if the token is older than a day. It is valid for seven. */
export function isOld() {
  return caller !== null && Date.now() - (caller.at ?? 0) > 24 * 3600 * 1000;
}

/** Ends the session in all tabs of this browser, and removes unsent texts. */
export function signOut() {
  for (const key of Object.keys(localStorage)) {
    if (UNSENT.some((beginning) => key.startsWith(beginning))) localStorage.removeItem(key);
  }
  tabs.postMessage('signed-out');
  forget();
}

/** Forgets a token that the server no longer accepts. Unsent texts stay. */
export function forget() {
  caller = null;
  sessionStorage.removeItem(TOKEN);
  localStorage.removeItem(TOKEN);
  events.dispatchEvent(new Event('changed'));
}

/** Changes settings and keeps them. */
export function set(changes) {
  Object.assign(settings, changes);
  localStorage.setItem(SETTINGS, JSON.stringify(settings));
}

/** Returns the unsent text of a room. */
export function draft(room) {
  return localStorage.getItem(`${DRAFT}${caller?.user}.${room}`) ?? '';
}

/** Keeps the unsent text of a room. */
export function keepDraft(room, text) {
  const key = `${DRAFT}${caller?.user}.${room}`;
  if (text) localStorage.setItem(key, text);
  else localStorage.removeItem(key);
}
