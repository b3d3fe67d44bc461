import { expect, test } from 'vitest';
import { parseArxivId, slugOfArxiv } from './arxiv-id.ts';

test.each([
  ['2407.13168', '2407.13168', null],
  [' arXiv:2407.13168v2 ', '2407.13168', 2],
  ['https://arxiv.org/abs/2407.13168v12', '2407.13168', 12],
  ['http://www.arxiv.org/pdf/2407.13168.pdf', '2407.13168', null],
  ['export.arxiv.org/abs/0704.0001', '0704.0001', null],
  ['https://arxiv.org/html/2407.13168v1#S3', '2407.13168', 1],
  ['https://huggingface.co/papers/2407.13168?utm=x', '2407.13168', null],
  ['https://www.alphaxiv.org/abs/2407.13168', '2407.13168', null],
  ['oai:arXiv.org:2407.13168v3', '2407.13168', 3],
  ['hep-th/9901001', 'hep-th/9901001', null],
  ['math.ag/0309136v2', 'math.AG/0309136', 2],
])('%s is %s, version %s', (text, id, version) => {
  expect(parseArxivId(text)).toEqual({ id, version });
});

test.each([
  '',
  '2407.1316',
  '1412.12345',
  '2413.12345',
  '2407.13168v0',
  '2407.131689',
  'https://example.org/abs/2407.13168',
  'https://evil.example/?https://arxiv.org/abs/2407.13168',
  '10.1000/2407.13168',
  'attention',
])('%j is no arXiv id', (text) => {
  expect(parseArxivId(text)).toBeUndefined();
});

test('its page has an address without signs', () => {
  expect(slugOfArxiv('2407.13168')).toBe('2407-13168');
  expect(slugOfArxiv('math.AG/0309136')).toBe('math-ag-0309136');
});
