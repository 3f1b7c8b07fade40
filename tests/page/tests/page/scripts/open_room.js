// Opens the room ROOM. Returns the milliseconds until its messages stand there. From then on, long
// tasks are recorded.
window.tasks = [];
const record = (list) => list.getEntries().forEach(({ duration }) => window.tasks.push(duration));
new PerformanceObserver(record).observe({ type: 'longtask', buffered: false });
const began = performance.now();
location.hash = '#/rooms/ROOM';
while (!document.querySelector('.scroller[data-ready]')) {
  await new Promise(requestAnimationFrame);
}
return performance.now() - began;
