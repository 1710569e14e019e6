/**
 * Lets a pure function look at a tree that answers later. The function asks an `ImageView`; what it asks for and is not known yet is fetched,
 * and the function runs again, until it asked for nothing new. So the decision what to look at next stays with the pure code, and no read of a
 * disk holds up the process. It costs as many runs as the longest chain of "this names that": about ten, of some milliseconds.
 */
import type { Absent, Content, ImageView, Listing, Look, Unreadable } from '@linstock/core';
import { unreadable } from './tree.ts';
import type { Tree } from './tree.ts';

/** A unit that names a script that names a file …; an image that leads on for longer is answered with "cannot be read". */
const mostRounds = 40;
const mostQuestions = 60_000;

type Answer = Look | Listing | Content;
type Question = { fetch: () => Promise<Answer>; keep: (answer: Answer) => void };

export async function lookThrough<T>(tree: Tree, judge: (view: ImageView) => T): Promise<T> {
  const memory = new Memory(tree);
  for (let round = 0; ; round++) {
    const result = judge(memory);
    const asked = memory.takeQuestions();
    if (asked.length === 0) return result;
    if (round >= mostRounds) memory.fetchNoMore();
    for (const { fetch, keep } of asked) keep(await fetch());
  }
}

class Memory implements ImageView {
  readonly #tree: Tree;
  readonly #answers = new Map<string, Answer>();
  #questions = new Map<string, Question>();
  #closed = false;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  stat(path: string): Look {
    return this.#ask('stat', path, () => this.#tree.stat(path));
  }
  lstat(path: string): Look {
    return this.#ask('lstat', path, () => this.#tree.lstat(path));
  }
  list(path: string): Listing {
    return this.#ask('list', path, () => this.#tree.list(path));
  }
  read(path: string, mostBytes: number): Content {
    return this.#ask(`read ${mostBytes}`, path, () => this.#tree.read(path, mostBytes));
  }

  takeQuestions(): Question[] {
    const questions = [...this.#questions.values()];
    this.#questions = new Map();
    return questions;
  }

  fetchNoMore(): void {
    this.#closed = true;
  }

  /** An answer that is not known yet reads as absence; what is concluded from it is thrown away with this run. */
  #ask<A extends Answer>(what: string, path: string, fetch: () => Promise<A>): A | Absent | Unreadable {
    const key = `${what} ${path}`;
    const known = this.#answers.get(key);
    // The key names the kind of question, so its answer has the type of that question.
    if (known !== undefined) return known as A;
    if (this.#closed || this.#answers.size + this.#questions.size >= mostQuestions) return unreadable('the image leads on for too long');
    this.#questions.set(key, {
      fetch,
      keep: (answer) => void this.#answers.set(key, answer),
    });
    return { is: 'absent', path, loop: false };
  }
}
