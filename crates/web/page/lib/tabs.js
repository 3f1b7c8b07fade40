// Tabs: a list of names, of which one shows its panel.

import { h, newId } from './dom.js';

/**
 * Creates tabs. `tabs` are pairs of a name and a panel. Arrow keys go from tab to tab.
 */
export function tabs(label, pairs) {
  const prefix = newId('tab');
  const names = pairs.map(([name, panel], index) => {
    panel.id = `${prefix}-panel-${index}`;
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', `${prefix}-${index}`);
    return h('button', {
      type: 'button', role: 'tab', id: `${prefix}-${index}`, 'aria-controls': panel.id,
      on: { click: () => choose(index), keydown: (event) => keydown(event, index) },
    }, name);
  });
  const panels = pairs.map(([, panel]) => panel);

  function choose(index) {
    names.forEach((name, other) => {
      name.setAttribute('aria-selected', String(other === index));
      name.tabIndex = other === index ? 0 : -1;
      panels[other].hidden = other !== index;
    });
  }

  function keydown(event, index) {
    const forward = document.documentElement.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const steps = { [forward]: 1, Home: -index, End: names.length - 1 - index };
    const back = forward === 'ArrowRight' ? 'ArrowLeft' : 'ArrowRight';
    const step = event.key === back ? -1 : steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = (index + step + names.length) % names.length;
    choose(next);
    names[next].focus();
  }

  choose(0);
  return [h('div', { role: 'tablist', 'aria-label': label, class: 'tabs' }, names), panels];
}
