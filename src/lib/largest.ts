/** Keeps the `count` items that come first by `compare`, of however many it is shown; memory and time as for those. */
export class Largest<Item> {
  /** A heap whose root is the last of those that are kept. */
  readonly #items: Item[] = [];
  readonly #count: number;
  readonly #compare: (one: Item, other: Item) => number;

  /** `compare` is negative when the first comes before the second, and zero for the same item only. */
  constructor(count: number, compare: (one: Item, other: Item) => number) {
    this.#count = count;
    this.#compare = compare;
  }

  add(item: Item): void {
    const items = this.#items;
    if (items.length < this.#count) {
      items.push(item);
      this.#rise(items.length - 1);
      return;
    }
    const root = items[0];
    if (root === undefined || this.#compare(item, root) >= 0) return;
    items[0] = item;
    this.#sink();
  }

  /** Whether an item that was shown is among those that come first. */
  includes(item: Item): boolean {
    const root = this.#items[0];
    if (root === undefined) return false;
    return this.#items.length < this.#count || this.#compare(item, root) <= 0;
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#isAfter(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let last = at;
      if (left < this.#items.length && this.#isAfter(left, last)) last = left;
      if (right < this.#items.length && this.#isAfter(right, last)) last = right;
      if (last === at) return;
      this.#swap(at, last);
      at = last;
    }
  }

  #isAfter(one: number, other: number): boolean {
    return this.#compare(this.#items[one] as Item, this.#items[other] as Item) > 0;
  }

  #swap(one: number, other: number): void {
    const item = this.#items[one] as Item;
    this.#items[one] = this.#items[other] as Item;
    this.#items[other] = item;
  }
}
