import { expect, test } from 'vitest';
import { commentShare, documentedExports, isTest, thrownErrors } from './house.ts';

test('lines of comments are counted, blank lines are not', () => {
  expect(
    commentShare(['// one', '', 'const x = 1; // not a comment line', '/* two', 'three */', 'y();']),
  ).toBe(3 / 5);
  expect(commentShare(['/** a doc comment in one line */', 'export const x = 1;'])).toBe(1 / 2);
  expect(commentShare([])).toBe(0);
});

test('an export counts as documented when a doc comment ends above it', () => {
  const lines = [
    '/** says what */',
    'export function a() {}',
    'export const b = 1;',
    'const c = 2;',
    'export type D = 1;',
  ];
  expect(documentedExports(lines)).toEqual({ exported: 3, documented: 1 });
});

test('an error counts as telling the value when it is an ArgumentError or has a hole', () => {
  const hole = '$' + '{x}';
  const program = `throw new Error('no'); throw new Error(\`x is ${hole}\`); throw new ArgumentError('f', 'x', x, 'y');`;
  expect(thrownErrors(program)).toEqual({ thrown: 3, withValue: 2 });
});

test('tests are told from sources by their suffix', () => {
  expect(['a.test.ts', 'a.gpu.test.ts', 'a.page.test.tsx'].every(isTest)).toBe(true);
  expect(isTest('src/test.ts')).toBe(false);
});
