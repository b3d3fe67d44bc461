import { z } from 'zod';

/** The days of an edition: both ends belong to it. Days are written YYYY-MM-DD. */
export interface Days {
  from: string;
  to: string;
}

const DAY_MS = 86_400_000;
const timeOf = (day: string) => Date.parse(`${day}T00:00:00Z`);
const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);

export const daySchema = z.iso
  .date('a day as YYYY-MM-DD')
  .refine((day) => day >= '1000', 'a day as YYYY-MM-DD');
export const monthSchema = z.string().regex(/^[1-9]\d{3}-(0[1-9]|1[0-2])$/, 'a month as YYYY-MM');
export const weekSchema = z
  .string()
  .regex(/^[1-9]\d{3}-W\d\d$/, { error: 'an ISO week as YYYY-Www', abort: true })
  .refine((week) => weekOf(daysOfWeek(week).from) === week, 'an ISO week of that year as YYYY-Www');

/** Monday to Sunday of an ISO week: week 1 is the one that holds 4 January. */
export function daysOfWeek(week: string): Days {
  const [year, number] = week.split('-W').map(Number);
  const monday = mondayOf(timeOf(`${year}-01-04`)) + (number - 1) * 7 * DAY_MS;
  return { from: dayOf(monday), to: dayOf(monday + 6 * DAY_MS) };
}

export function daysOfMonth(month: string): Days {
  const [year, number] = month.split('-').map(Number);
  return { from: `${month}-01`, to: dayOf(Date.UTC(year, number, 0)) };
}

/** The ISO week of a day; at a year's end it may be of the year before or after. */
export function weekOf(day: string): string {
  const monday = mondayOf(timeOf(day));
  const year = new Date(monday + 3 * DAY_MS).getUTCFullYear();
  const number = 1 + Math.round((monday - mondayOf(timeOf(`${year}-01-04`))) / (7 * DAY_MS));
  return `${year}-W${String(number).padStart(2, '0')}`;
}

export const monthOf = (day: string): string => day.slice(0, 7);

/** The day that it is at an instant in a time zone. */
export function dayInZone(instant: Date, zone: string): string {
  // the one locale whose short dates are written year first
  return new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(instant);
}

function mondayOf(time: number): number {
  return time - ((new Date(time).getUTCDay() + 6) % 7) * DAY_MS;
}
