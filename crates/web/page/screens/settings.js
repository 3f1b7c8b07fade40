// The settings of this browser, and the end of the session.

import { button, checkbox, choice, field, h, show } from '../lib/dom.js';
import { heading } from '../lib/screen.js';
import { caller, set, settings, signOut } from '../lib/session.js';
import { LANGUAGES, load, t } from '../lib/words.js';

/** Shows the settings. Each takes effect at once. */
export function open({ main }) {
  const looks = (name) => (value) => {
    set({ [name]: value });
    document.documentElement.dataset[name] = value;
  };
  const option = (name, values) => values.map((value) => [value, t(`settings.${name}-${value}`)]);
  const list = (name, values) => field(t(`settings.${name}`), choice(option(name, values), settings[name], looks(name)));
  const flag = (name) => checkbox(t(`settings.${name}`), settings[name], (value) => set({ [name]: value }));
  const language = choice([['', t('settings.automatic')], ...LANGUAGES], settings.language, async (value) => {
    set({ language: value });
    await load();
    location.reload();
  });
  show(main, heading(t('title.settings')), h('div', { class: 'page form' },
    h('section', {}, h('h2', {}, t('settings.looks')),
      list('theme', ['system', 'light', 'dark']), list('textSize', ['normal', 'large', 'larger']), list('motion', ['system', 'none']),
      field(t('settings.language'), language)),
    h('section', {}, h('h2', {}, t('settings.chat')),
      flag('enterSends'), flag('follow'), flag('thinkingOpen'),
      field(t('settings.announce'), choice(option('announce', ['whole', 'name', 'off']), settings.announce, (value) => set({ announce: value })))),
    h('section', {}, h('h2', {}, t('settings.session')),
      h('p', {}, t('settings.user', { user: caller.user })),
      button(t('settings.sign-out'), signOut))));
}
