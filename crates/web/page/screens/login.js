// The login.

import { post, get } from '../lib/api.js';
import { checkbox, choice, field, h, setText } from '../lib/dom.js';
import { sentence } from '../lib/screen.js';
import { set, settings, signIn } from '../lib/session.js';
import { LANGUAGES, load, number, t } from '../lib/words.js';
import * as rooms from '../lib/rooms.js';

/** Shows the login. After it, the page goes on where the reader was. */
export function open({ main, signal }) {
  let stays = false;
  const password = h('input', { type: 'password', autocomplete: 'current-password', required: true, maxlength: 1024 });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const act = h('button', { type: 'submit', class: 'primary' }, t('login.login'));
  const state = h('p', { class: 'hint' });
  const form = h('form', {
    class: 'card login',
    on: {
      submit: async (event) => {
        event.preventDefault();
        act.disabled = true;
        setText(problem, '');
        try {
          const login = await post('/auth/login', { password: password.value });
          await enter(login, stays);
        } catch (error) {
          password.select();
          wait(error);
        }
      },
    },
  },
  h('img', { src: 'icon.svg', alt: '', class: 'logo' }),
  h('h1', { tabindex: '-1' }, t('login.title')),
  field(t('login.password'), password),
  checkbox(t('login.show'), false, (isShown) => { password.type = isShown ? 'text' : 'password'; }),
  checkbox(t('login.stay'), false, (value) => { stays = value; }),
  problem, act, state,
  h('details', {}, h('summary', {}, t('login.where')), h('p', {}, t('login.where-text'))),
  field(t('settings.language'), choice([['', t('settings.automatic')], ...LANGUAGES], settings.language, async (language) => {
    set({ language });
    await load();
    open({ main, signal });
  })));

  /** Shows why the login failed. After too many logins, the button waits and counts. */
  function wait(error) {
    const until = performance.now() + (error.retryAfter ?? 0) * 1000;
    const seconds = () => Math.ceil((until - performance.now()) / 1000);
    setText(problem, error.status === 401 ? t('login.wrong') : error.status === 429 ? t('login.wait', { count: seconds() }) : sentence(error));
    const tick = () => {
      const left = seconds();
      act.disabled = left > 0;
      setText(act, left > 0 ? `${t('login.login')} (${number(left)})` : t('login.login'));
      if (left > 0 && !signal.aborted) setTimeout(tick, 1000);
    };
    tick();
  }

  main.replaceChildren(h('div', { class: 'center' }, form));
  password.focus();
  get('/health', { signal }).then(() => setText(state, t('login.healthy')), () => setText(state, t('login.unhealthy')));
}

/** Keeps the login. A person without rooms is welcomed first. */
async function enter(login, stays) {
  const isStart = ['', '#/rooms', '#/login'].includes(location.hash);
  signIn(login, stays);
  await rooms.refresh();
  if (isStart && rooms.list?.length === 0) location.hash = '#/welcome';
}
