import { status } from '@grpc/grpc-js';
import { statusText } from '../answer-text.ts';
import type { Check, Seen } from '../check.ts';
import { kept, warning } from '../check.ts';
import { broken } from '../conformance-error.ts';
import { valueOf } from '../expect-answer.ts';
import { SERVING } from '../grpc-health.ts';
import { startSlowStep } from '../slow-step.ts';
import type { Subject } from '../subject.ts';

export const healthChecks: readonly Check[] = [
  { name: 'health.answers', promise: 'HealthCheck answers within its deadline whether steps can be executed.', section: 'The life of a connection', needs: [], run: expectServing },
  { name: 'health.while_busy', promise: 'HealthCheck answers while steps are under way.', section: 'The life of a connection', needs: ['a slow step'], run: expectServingWhileBusy },
  { name: 'health.grpc', promise: 'A plugin should serve grpc.health.v1.Health, without a token, for probes.', section: 'How a plugin is started', needs: [], run: expectGrpcHealth },
];

async function expectServing(subject: Subject): Promise<Seen> {
  const { serving, detail } = valueOf(await subject.peer().health(), `an answer to HealthCheck within ${subject.timing.healthMs} ms`);
  if (!serving) throw broken('serving: true', `serving: false${detail === '' ? '' : ` ("${detail}")`}`);
  return kept(detail === '' ? 'serving' : `serving: ${detail}`);
}

async function expectServingWhileBusy(subject: Subject): Promise<Seen> {
  const stop = new AbortController();
  const step = startSlowStep(subject, { ms: subject.timing.longSleepMs, signal: stop.signal });
  try {
    await step.begun();
    valueOf(await subject.peer().health(), `an answer to HealthCheck within ${subject.timing.healthMs} ms while a step is under way`);
  } finally {
    stop.abort();
    await step.answer;
  }
  return kept('answered during a step');
}

async function expectGrpcHealth(subject: Subject): Promise<Seen> {
  const answer = await subject.peer().grpcHealth({ token: null });
  if (answer.ok && answer.value === SERVING) return kept('SERVING');
  if (answer.ok) return warning(`grpc.health.v1.Health answers ${answer.value}, not SERVING (1), while the plugin serves`);
  if (answer.code === status.UNIMPLEMENTED) return warning('grpc.health.v1.Health is not served; probes of Kubernetes need it');
  return warning(`grpc.health.v1.Health answers with ${statusText(answer)}`);
}
