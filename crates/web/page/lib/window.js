// A long list of which only a part is in the document, about 200 rows. Rows are added at both ends
// as the reader scrolls, and rows far away are dropped. The row that the reader sees stays where it
// is.

/** Rows beyond this number are dropped once they are more than two view heights away. */
const MOST_ROWS = 200;
/** Rows are loaded when fewer than this many heights of the view are left. */
const NEAR = 1.5;
/** The least time after a failed load, in milliseconds. */
const RETRY = 2000;

/** A list in a scrolling element. `rows` is the element that contains the rows. */
export class RowWindow {
  /** True if the newest row is in the document. */
  hasNewest = true;
  /** True if the oldest row is in the document. */
  hasOldest = false;
  #scroller;
  #rows;
  #source;
  #loading = false;
  #retryAt = 0;
  #isFollowing = true;
  #lastTop = 0;
  #observer;

  /**
   * `source.older(row)` and `source.newer(row)` load the rows beyond the first and the last row. They
   * return elements, and an empty list at the end. `source.changed()` is called when the reader
   * begins or ends to follow the newest row, `source.arrange()` when there are other rows, and
   * `source.reachedEnd()` when the newest row was loaded. A failed load is tried again when the
   * reader scrolls.
   */
  constructor(scroller, rows, source, signal) {
    this.#scroller = scroller;
    this.#rows = rows;
    this.#source = source;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    // The end moves when the view changes its size, and when any part of its content grows.
    this.#observer = new ResizeObserver(() => this.isFollowing && this.toEnd());
    for (const element of [scroller, ...scroller.children]) this.#observer.observe(element);
    signal.addEventListener('abort', () => this.#observer.disconnect());
  }

  /** True if the view shows the newest row and moves with it. */
  get isFollowing() {
    return this.#isFollowing && this.hasNewest;
  }

  /** The number of rows in the document. */
  get size() {
    return this.#rows.childElementCount;
  }

  /** Replaces all rows by the newest ones, and shows the end. */
  fill(rows, hasOldest) {
    this.#rows.replaceChildren(...rows);
    this.hasNewest = true;
    this.hasOldest = hasOldest;
    this.#source.arrange();
    this.toEnd();
  }

  /** Adds rows at the end. The view moves only if it follows. */
  push(rows) {
    this.#rows.append(...rows);
    this.#source.arrange();
    if (this.#isFollowing) {
      this.#trimTop();
      this.toEnd();
    } else if (this.size > MOST_ROWS) {
      this.#trimBottom();
    }
  }

  /** Shows the end of the list, and follows it. */
  toEnd() {
    this.#follow(true);
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  /** Stops following, so that a long row that grows does not move the view. */
  stay() {
    this.#follow(false);
  }

  #follow(isFollowing) {
    if (isFollowing === this.#isFollowing) return;
    this.#isFollowing = isFollowing;
    this.#source.changed();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    // Only a reader moves the view up. While the content grows, its end is below the view for a
    // moment.
    if (below < 8 && this.hasNewest) this.#follow(true);
    else if (scrollTop < this.#lastTop - 1) this.#follow(false);
    this.#lastTop = scrollTop;
    if (this.#loading || performance.now() < this.#retryAt) return;
    if (scrollTop < clientHeight * NEAR && !this.hasOldest && this.size > 0) this.#load('older');
    else if (below < clientHeight * NEAR && !this.hasNewest) this.#load('newer');
  }

  async #load(direction) {
    this.#loading = true;
    try {
      const isOlder = direction === 'older';
      const edge = isOlder ? this.#rows.firstElementChild : this.#rows.lastElementChild;
      const rows = await this.#source[direction](edge);
      // The list may have been filled anew while the rows were loaded.
      if (!edge.isConnected) return;
      if (rows.length === 0) {
        if (isOlder) {
          this.hasOldest = true;
        } else {
          this.hasNewest = true;
          this.#source.reachedEnd();
        }
        return;
      }
      this.#keepingView(() => {
        if (isOlder) this.#rows.prepend(...rows);
        else this.#rows.append(...rows);
        this.#source.arrange();
        if (isOlder) this.#trimBottom();
        else this.#trimTop();
      });
    } catch {
      // The source has said why. It is not asked again at once.
      this.#retryAt = performance.now() + RETRY;
      return;
    } finally {
      this.#loading = false;
    }
    // A reader who scrolls quickly may already be at the new edge.
    requestAnimationFrame(() => this.#scrolled());
  }

  /** Changes the rows, and moves the view so that its first visible row stays in its place. */
  #keepingView(change) {
    const top = this.#scroller.getBoundingClientRect().top;
    const anchor = [...this.#rows.children].find((row) => row.getBoundingClientRect().bottom > top);
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) this.#scroller.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  // Only rows that are more than two views away are dropped: nearer ones would be missed at once.
  // All are measured before the first is dropped, because each change makes the next measure slow.
  #trimTop() {
    const limit = this.#scroller.getBoundingClientRect().top - 2 * this.#scroller.clientHeight;
    const isFar = (row) => this.isFollowing || row.getBoundingClientRect().bottom < limit;
    const dropped = this.#surplus([...this.#rows.children], isFar);
    if (dropped.length === 0) return;
    this.#keepingView(() => {
      dropped.forEach((row) => this.#drop(row));
      this.#source.arrange();
    });
    this.hasOldest = false;
  }

  #trimBottom() {
    const limit = this.#scroller.getBoundingClientRect().bottom + 2 * this.#scroller.clientHeight;
    const isFar = (row) => row.getBoundingClientRect().top > limit;
    const dropped = this.#surplus([...this.#rows.children].reverse(), isFar);
    dropped.forEach((row) => this.#drop(row));
    if (dropped.length > 0) this.hasNewest = false;
  }

  /** Returns the first of the rows that are too many, as long as they are far away. */
  #surplus(rows, isFar) {
    const surplus = rows.slice(0, Math.max(0, rows.length - MOST_ROWS));
    const near = surplus.findIndex((row) => !isFar(row));
    return near < 0 ? surplus : surplus.slice(0, near);
  }

  #drop(row) {
    row.dispatchEvent(new Event('dropped'));
    row.remove();
  }
}
