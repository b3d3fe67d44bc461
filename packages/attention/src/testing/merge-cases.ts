import { attend } from '../softmax/attend.ts';
import { mergeAttention } from '../softmax/merge.ts';
import { compare, type DeviceCase } from './cases.ts';

export const mergeCases: DeviceCase[] = [
  {
    name: 'merge of three parts, one of them empty',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [
          tensor(1, 2, 3, 21, 10),
          tensor(2, 2, 3, 40, 10),
          tensor(3, 2, 3, 40, 10),
        ];
        const parts = [
          await attend(query, key, value, { mask: ({ key: j }) => j.lt(13) }),
          await attend(query, key, value, { mask: ({ key: j }) => j.ge(13) }),
          await attend(query, key, value, { mask: ({ key: j }) => j.lt(0) }),
        ];
        const merged = await mergeAttention(parts);
        return { output: await merged.output.read(), logSumExp: await merged.logSumExp.read() };
      }),
  },
  {
    name: 'merge of parts that are all empty',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [tensor(1, 1, 1, 5, 3), tensor(2, 1, 1, 4, 3), tensor(3, 1, 1, 4, 3)];
        const part = await attend(query, key, value, { mask: ({ key: j }) => j.lt(0) });
        const merged = await mergeAttention([part, part]);
        return { output: await merged.output.read(), logSumExp: await merged.logSumExp.read() };
      }),
  },
];
