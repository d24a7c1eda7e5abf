import { startVllmDouble } from '../testing/vllm-double.ts';
import { describeVllm, SUITE_MAX_NUM_SEQS } from '../testing/vllm-suite.ts';

describeVllm('the double of vLLM', async () => {
  const double = await startVllmDouble({
    apiKey: 'a key of tests',
    adapters: ['lora-a', 'lora-b'],
    maxModelLen: 2_048,
    maxNumSeqs: SUITE_MAX_NUM_SEQS,
    tokenMs: 4,
    answer: ({ model }) => ({ tokens: Array.from({ length: 2_000 }, (_, index) => `${JSON.stringify(model)}${index} `) }),
  });
  return { url: double.url, apiKey: 'a key of tests', model: 'tiny', adapters: ['lora-a', 'lora-b'], maxModelLen: 2_048, stop: double.close };
});
