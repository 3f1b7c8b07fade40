// A sparkline of a region's requests and misses in each ten seconds of the last hour. It is hidden
// from screen readers, for which the table has the current figures.

import { svg } from '../lib/dom.js';

const WIDTH = 120;
const HEIGHT = 28;
const MOST = 360;

/** A line that grows with each step. */
export class Sparkline {
  #steps;
  #line = svg('polyline', { class: 'requests' });
  #misses = svg('polyline', { class: 'misses' });
  element = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.#line, this.#misses);

  /** `steps` are hits, misses, loads and failures by step, oldest first. */
  constructor(steps) {
    this.#steps = [...steps];
    this.#draw();
  }

  /** Adds a step. */
  add(step) {
    this.#steps.push(step);
    if (this.#steps.length > MOST) this.#steps.shift();
    this.#draw();
  }

  #draw() {
    const highest = Math.max(1, ...this.#steps.map(([hits, misses]) => hits + misses));
    const points = (value) => this.#steps.map((step, index) => {
      const x = WIDTH - (this.#steps.length - 1 - index) * (WIDTH / MOST);
      return `${x.toFixed(1)},${(HEIGHT - 1 - (value(step) / highest) * (HEIGHT - 2)).toFixed(1)}`;
    }).join(' ');
    this.#line.setAttribute('points', points(([hits, misses]) => hits + misses));
    this.#misses.setAttribute('points', points(([, misses]) => misses));
  }
}
