/** Keeps the end of a growing text within a bound, so that a noisy server cannot fill the memory of its test. */
export class TextTail {
  readonly #limitChars: number;
  #text = '';

  constructor(limitChars: number) {
    this.#limitChars = limitChars;
  }

  add(text: string): void {
    this.#text += text;
    // Cutting at twice the limit keeps the cost per line constant.
    if (this.#text.length > 2 * this.#limitChars) this.#text = this.#text.slice(-this.#limitChars);
  }

  text(): string {
    return this.#text.slice(-this.#limitChars);
  }
}
