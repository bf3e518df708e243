/** The first rows of an order, of any number that come: a heap with the last of them on top. Memory: the rows kept. */

export class TopRows<Row> {
  readonly #compare: (left: Row, right: Row) => number;
  readonly #countMax: number;
  readonly #heap: Row[] = [];

  constructor(countMax: number, compare: (left: Row, right: Row) => number) {
    this.#countMax = countMax;
    this.#compare = compare;
  }

  get full(): boolean {
    return this.#heap.length >= this.#countMax;
  }

  offer(row: Row): void {
    const heap = this.#heap;
    if (heap.length < this.#countMax) {
      heap.push(row);
      this.#rise(heap.length - 1);
      return;
    }
    if (this.#compare(row, heap[0] as Row) >= 0) return;
    heap[0] = row;
    this.#sink();
  }

  /** All rows kept, in order. */
  sorted(): Row[] {
    return this.#heap.slice().sort(this.#compare);
  }

  #rise(start: number): void {
    const heap = this.#heap;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(heap[at] as Row, heap[parent] as Row) <= 0) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let last = at;
      if (left < heap.length && this.#compare(heap[left] as Row, heap[last] as Row) > 0) last = left;
      if (right < heap.length && this.#compare(heap[right] as Row, heap[last] as Row) > 0) last = right;
      if (last === at) return;
      this.#swap(at, last);
      at = last;
    }
  }

  #swap(left: number, right: number): void {
    const heap = this.#heap;
    const kept = heap[left] as Row;
    heap[left] = heap[right] as Row;
    heap[right] = kept;
  }
}
