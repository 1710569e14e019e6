/** A refusal as the client sees it. `fatal`: what the process says as it ends after having sent it. */
export class Fault extends Error {
  readonly status: 400 | 413;
  readonly fatal: string | null;
  constructor(message: string, status: 400 | 413 = 400, fatal: string | null = null) {
    super(message);
    this.status = status;
    this.fatal = fatal;
  }
}
