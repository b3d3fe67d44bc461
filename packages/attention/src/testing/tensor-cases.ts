import { NO_TOKEN } from '../plan.ts';
import { type DeviceCase, exactly } from './cases.ts';
import { expectClose, randomArray } from './close.ts';

export const tensorCases: DeviceCase[] = [
  {
    name: 'tensors come back as they went in',
    run: async (device) => {
      const data = randomArray(7, [3, 5]);
      expectClose(await device.tensor(data, [3, 5], 'f32').read(), data, exactly);
      const halves = await device.tensor([1, 0.5, -2, 65504, 2 ** -24], [5], 'f16').read();
      expectClose(halves, [1, 0.5, -2, 65504, 2 ** -24], exactly);
      const whole = await device.tensor(Uint32Array.of(0, 7, NO_TOKEN), [3]).read();
      expectClose(whole, [0, 7, NO_TOKEN], exactly);
    },
  },
];
