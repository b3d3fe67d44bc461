import { type DestinationStream, destination, type Logger, pino } from 'pino';

export const logLevels = ['error', 'warn', 'info'] as const;

/** What may be an address of mail, or a token in a path, has no place in a log. */
const withoutPeople = (text: string) =>
  text.replace(/[^\s<>"'(),;:=]+@[^\s<>"'(),;:]+/g, '[address]').replace(/\b[\w-]{32,}\b/g, '[token]');

/**
 * Lines of JSON on the error output: no addresses of people or clients, no tokens, no questions. Of an error it keeps
 * name, message, code and stack: what PostgreSQL adds in `detail` holds values.
 */
export function createLog(level: (typeof logLevels)[number], to: DestinationStream = destination(2)): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        logMethod(given, method) {
          const cleaned = given.map((part) => (typeof part === 'string' ? withoutPeople(part) : part));
          method.apply(this, cleaned as Parameters<typeof method>);
        },
      },
      serializers: {
        err: ({ name, message, code, stack }: NodeJS.ErrnoException) => ({
          name,
          message: withoutPeople(message),
          code,
          stack: stack && withoutPeople(stack),
        }),
      },
    },
    to,
  );
}
