// Lists the controls of the screen that the Tab key must reach. Returns their number.
const all = document.querySelectorAll('button, a[href], input, select, textarea, summary');
const isReachable = (control) => control.checkVisibility() && !control.disabled
  && control.tabIndex >= 0;
window.left = new Set([...all].filter(isReachable));
document.activeElement.blur();
return window.left.size;
