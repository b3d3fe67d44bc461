import type { Device } from '../device/device.ts';
import { cacheCases } from './cache-cases.ts';
import { type AttendCase, type DeviceCase, runAttend } from './cases.ts';
import { expressionCases } from './expression-cases.ts';
import { keyMajorAttendCases, keyMajorCases } from './key-major-cases.ts';
import { listCases } from './list-cases.ts';
import { mergeCases } from './merge-cases.ts';
import { planCases } from './plan-cases.ts';
import { selectionCases } from './selection-cases.ts';
import { shapeCases } from './shape-cases.ts';
import { slotCases } from './slot-cases.ts';
import { tensorCases } from './tensor-cases.ts';
import { topCases } from './top-cases.ts';

/** Every attend() of the suite; `runAttend({ ...item, dtype: 'f16' }, device)` runs one in the storage of the higher tiers. */
export const attendCases: readonly AttendCase[] = [
  ...shapeCases,
  ...planCases,
  ...expressionCases,
  ...keyMajorAttendCases,
];

/** What every device must do as the reference does: sizes, key rules, expressions, precision, merge, caches and selection. */
export const deviceCases: readonly DeviceCase[] = [
  ...attendCases.map((item) => ({
    name: item.name,
    run: (device: Device) => runAttend(item, device),
  })),
  ...mergeCases,
  ...cacheCases,
  ...selectionCases,
  ...topCases,
  ...listCases,
  ...slotCases,
  ...keyMajorCases,
  ...tensorCases,
];
