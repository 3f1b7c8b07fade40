// Scrolls a room of COUNT messages up to its first and down to its newest message. Returns how many
// different messages were seen, and the worst that happened.
const scroller = document.querySelector('.scroller');
const rows = document.querySelector('.rows');
const frame = () => new Promise(requestAnimationFrame);
const seen = new Set();
const worst = { rows: 0, elements: 0, jump: 0 };
const first = () => Number(rows.firstElementChild.dataset.id);
const last = () => Number(rows.lastElementChild.dataset.id);
const below = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
const newest = last();
const oldest = newest - COUNT + 1;

function look() {
  for (const row of rows.children) seen.add(Number(row.dataset.id));
  worst.rows = Math.max(worst.rows, rows.childElementCount);
  worst.elements = Math.max(worst.elements, document.getElementsByTagName('*').length);
}

async function step(distance) {
  const view = scroller.getBoundingClientRect().top;
  scroller.scrollBy(0, distance);
  const top = (row) => row.getBoundingClientRect().top;
  const anchor = [...rows.children].find((row) => row.getBoundingClientRect().bottom > view + 5);
  const before = top(anchor);
  await frame();
  await frame();
  if (anchor.isConnected) worst.jump = Math.max(worst.jump, Math.abs(top(anchor) - before));
  look();
}

for (let turn = 0; turn < 6000 && (first() > oldest || scroller.scrollTop > 0); turn += 1) {
  await step(-6000);
}
const up = seen.size;
seen.clear();
look();
for (let turn = 0; turn < 6000 && (last() < newest || below() > 5); turn += 1) await step(6000);
return { up, down: seen.size, ...worst, longest: Math.max(0, ...window.tasks) };
