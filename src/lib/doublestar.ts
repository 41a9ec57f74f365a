import { expandBraces, literal, parseComponent, splitComponents, type Token } from './doublestar-syntax.ts';

export { GlobSyntaxError } from './doublestar-syntax.ts';

/** A compiled glob. */
export interface Glob {
  readonly pattern: string;
  /**
   * Whether the whole text matches. Takes time in proportion to the lengths of text and pattern, whatever
   * they hold.
   */
  matches(text: string): boolean;
}

/**
 * Compiles a glob with the meaning of Go's `doublestar`: `*` any text within a segment, `?` one character,
 * `[a-z]`, `[^a-z]` and `[!a-z]` one of (or none of) a class, `{x,y}` either (may nest), `\` takes the next
 * character literally, and `**` as a whole segment any number of segments, so that `a/**` matches `a`, `a/b`
 * and `a/b/c`. A `**` beside other characters is a `*`.
 * @throws GlobSyntaxError when a class or a brace is not closed, a class is malformed, or the alternatives
 * are too many
 */
export function compileGlob(pattern: string): Glob {
  const programs = expandBraces(pattern).map(makeProgram);
  return { pattern, matches: (text) => programs.some((program) => run(program, text)) };
}

/** What one state of the matcher does with the next character. */
type Instruction =
  | Token
  /** `.../` any number of segments, each with the slash behind it, or nothing. */
  | { readonly kind: 'segments' }
  /** Within such segments: takes anything; behind a slash it may end. */
  | { readonly kind: 'insideSegments' }
  /**
   * The end of a pattern that ends with a whole `**`: nothing, or a slash and, by the next instruction,
   * anything.
   */
  | { readonly kind: 'tail' };

const anything: Token = { kind: 'many', takes: () => true };

function makeProgram(pattern: string): Instruction[] {
  const components = splitComponents(pattern).filter(
    (part, index, all) => part !== '**' || all[index - 1] !== '**',
  );
  const program: Instruction[] = [];
  for (const [index, component] of components.entries()) {
    const isLast = index === components.length - 1;
    if (component !== '**') {
      program.push(...parseComponent(component));
      if (!isLast && !(components[index + 1] === '**' && index + 1 === components.length - 1)) {
        program.push(literal('/'));
      }
    } else if (isLast) program.push(...(index === 0 ? [] : [{ kind: 'tail' } as const]), anything);
    else program.push({ kind: 'segments' }, { kind: 'insideSegments' });
  }
  return program;
}

/**
 * Runs all states at once, so that no text makes the matcher go back. State n is "instructions before n are
 * satisfied"; the state behind the last instruction accepts.
 */
function run(program: readonly Instruction[], text: string): boolean {
  let states = new Uint8Array(program.length + 1);
  enter(program, states, 0);
  for (const character of text) {
    const next = new Uint8Array(program.length + 1);
    for (const [index, instruction] of program.entries()) {
      if (states[index] === 1) advance(program, next, { index, instruction, character });
    }
    if (!next.includes(1)) return false;
    states = next;
  }
  return states[program.length] === 1;
}

/** Marks a state, and those that are reached from it without a character. */
function enter(program: readonly Instruction[], states: Uint8Array, index: number): void {
  if (states[index] === 1) return;
  states[index] = 1;
  const instruction = program[index];
  if (instruction === undefined) return;
  if (instruction.kind === 'many') enter(program, states, index + 1);
  if (instruction.kind === 'segments' || instruction.kind === 'tail') enter(program, states, index + 2);
}

interface Step {
  readonly index: number;
  readonly instruction: Instruction;
  readonly character: string;
}

function advance(
  program: readonly Instruction[],
  next: Uint8Array,
  { index, instruction, character }: Step,
): void {
  const isSlash = character === '/';
  switch (instruction.kind) {
    case 'one':
      if (instruction.takes(character)) enter(program, next, index + 1);
      break;
    case 'many':
      if (instruction.takes(character)) enter(program, next, index);
      break;
    case 'tail':
      if (isSlash) enter(program, next, index + 1);
      break;
    case 'segments':
    case 'insideSegments': {
      const inside = instruction.kind === 'segments' ? index + 1 : index;
      next[inside] = 1;
      if (isSlash) enter(program, next, inside + 1);
    }
  }
}
