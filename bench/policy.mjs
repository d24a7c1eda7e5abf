// One PDP decision: 200 rules with conditions, each for a tool of its own, and the same with all of them on one tool.
import { compilePolicy, decide } from '@openeaap/policy';
import { median, table } from './statistics.mjs';

const DECISIONS = 100_000;

export function benchPolicy() {
  const cases = [
    ['200 rules, one per tool', 200, (n) => `tool_${n}`],
    ['10,000 rules, one per tool', 10_000, (n) => `tool_${n}`],
    ['200 rules on one tool', 200, () => 'tool_0'],
  ].map(([name, count, toolOf]) => ({ name, p50Us: measure(makePolicy(count, toolOf)) }));
  table('PDP decision (bar: p50 <= 2 us at 200 rules, flat to 10,000)', ['rules', 'p50 us'], cases.map((c) => [c.name, c.p50Us.toFixed(2)]));
  return cases;
}

function makePolicy(count, toolOf) {
  const rules = Array.from({ length: count }, (_, n) => `  - {name: r${n}, effect: deny, on: act, tool_pattern: ${toolOf(n)}, condition: "input.cmd contains 'x${n}' and input.level > ${n}"}`);
  const text = `rbac:\n  roles:\n    - {name: a, members: ["group:soc"], tools: ["*"], agents: ["*"]}\nrules:\n${rules.join('\n')}\n`;
  return compilePolicy([{ name: 'bench.yaml', text }]);
}

function measure(policy) {
  const request = {
    kind: 'act',
    principal: { tenantId: 't', userId: 'u', groups: ['soc'], clearance: 2 },
    agent: { id: 'a', name: 'a', version: '1' },
    run: { id: 'r', stepNo: 1, tokensUsed: 0 },
    taint: { untrusted: false, injection: false },
    now: new Date(),
    tool: { name: 'tool_0', version: '1', effect: 'read' },
    input: { cmd: 'ls -l', level: 3 },
  };
  const batches = [];
  for (let batch = 0; batch < 50; batch += 1) {
    const started = process.hrtime.bigint();
    for (let n = 0; n < DECISIONS / 50; n += 1) decide(policy, request);
    batches.push(Number(process.hrtime.bigint() - started) / 1_000 / (DECISIONS / 50));
  }
  return median(batches);
}
