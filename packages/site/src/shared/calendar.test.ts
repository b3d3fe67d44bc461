import { describe, expect, test } from 'vitest';
import {
  dayInZone,
  daySchema,
  daysOfMonth,
  daysOfWeek,
  monthSchema,
  weekOf,
  weekSchema,
} from './calendar.ts';

describe('ISO weeks', () => {
  test.each([
    ['2026-W17', '2026-04-20', '2026-04-26'],
    ['2020-W53', '2020-12-28', '2021-01-03'],
    ['2021-W01', '2021-01-04', '2021-01-10'],
    ['2025-W01', '2024-12-30', '2025-01-05'],
  ])('%s is %s to %s', (week, from, to) => {
    expect(daysOfWeek(week)).toEqual({ from, to });
    expect(weekOf(from)).toBe(week);
    expect(weekOf(to)).toBe(week);
  });

  test('every day of forty years is in the week that says so', () => {
    for (let time = Date.UTC(2000, 0, 1); time < Date.UTC(2040, 0, 1); time += 86_400_000) {
      const day = new Date(time).toISOString().slice(0, 10);
      const { from, to } = daysOfWeek(weekOf(day));
      expect(from <= day && day <= to, day).toBe(true);
    }
  });
});

test('a month ends on its last day', () => {
  expect(daysOfMonth('2024-02')).toEqual({ from: '2024-02-01', to: '2024-02-29' });
  expect(daysOfMonth('2025-12').to).toBe('2025-12-31');
});

test('an instant is another day in another zone', () => {
  const instant = new Date('2026-04-20T23:30:00Z');
  expect(dayInZone(instant, 'UTC')).toBe('2026-04-20');
  expect(dayInZone(instant, 'Europe/Zurich')).toBe('2026-04-21');
  expect(dayInZone(instant, 'America/New_York')).toBe('2026-04-20');
});

test.each([
  [weekSchema, ['2020-W53', '2026-W01'], ['2021-W53', '2026-W00', '2026-W60', '2026-17', '2026-W1', '']],
  [daySchema, ['2024-02-29'], ['2025-02-29', '2025-2-1', '0000-01-01', '2025-02-01T00:00', '']],
  [monthSchema, ['2026-04'], ['2026-13', '2026-00', '26-04', '2026-04-01', '']],
])('what is no date is refused', (schema, good, bad) => {
  for (const text of good) expect(schema.safeParse(text).success, text).toBe(true);
  for (const text of bad) expect(schema.safeParse(text).success, text).toBe(false);
});
