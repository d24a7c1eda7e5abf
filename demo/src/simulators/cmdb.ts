import type { JsonObject } from '@openeaap/kernel';
import type { SimulatedRoute } from './simulated-server.ts';
import { notFound } from './simulated-server.ts';

export interface Asset {
  readonly name: string;
  readonly ip: string;
  readonly owner: string;
  readonly department: string;
  readonly criticality: 'critical' | 'high' | 'medium' | 'low';
  readonly environment: 'production' | 'staging' | 'office';
  readonly contact: string;
}

/** Invented people and numbers: 5550 is no exchange in use, and 13800138000 is the number that every Chinese example uses. */
export const ASSETS: readonly Asset[] = [
  { name: 'vpn-gw-01', ip: '10.1.0.11', owner: '王强', department: '网络组', criticality: 'critical', environment: 'production', contact: '13800138000' },
  { name: 'mail-01', ip: '10.1.0.25', owner: '陈静', department: '身份与协作', criticality: 'high', environment: 'production', contact: '010-5550-0143' },
  { name: 'bastion-01', ip: '10.1.0.31', owner: '张伟', department: '基础设施部', criticality: 'critical', environment: 'production', contact: '010-5550-0187' },
  { name: 'dc-01', ip: '10.1.0.53', owner: '陈静', department: '身份与协作', criticality: 'critical', environment: 'production', contact: '010-5550-0143' },
  { name: 'pay-db-01', ip: '10.2.1.10', owner: '李娜', department: '支付业务部', criticality: 'critical', environment: 'production', contact: '010-5550-0121' },
  { name: 'pay-api-02', ip: '10.2.1.22', owner: '李娜', department: '支付业务部', criticality: 'high', environment: 'production', contact: '010-5550-0121' },
  { name: 'web-portal-01', ip: '10.2.2.15', owner: '刘洋', department: '云平台', criticality: 'high', environment: 'production', contact: '010-5550-0154' },
  { name: 'ci-runner-07', ip: '10.3.0.77', owner: 'Tom Becker', department: 'Engineering', criticality: 'medium', environment: 'staging', contact: '010-5550-0198' },
  { name: 'erp-stg-01', ip: '10.3.1.12', owner: '赵敏', department: '法务与合规', criticality: 'low', environment: 'staging', contact: '010-5550-0165' },
  { name: 'laptop-zhangwei', ip: '10.9.4.17', owner: '张伟', department: '基础设施部', criticality: 'medium', environment: 'office', contact: '010-5550-0187' },
  { name: 'laptop-alice', ip: '10.9.4.42', owner: 'Alice Martin', department: 'Finance', criticality: 'medium', environment: 'office', contact: '010-5550-0176' },
  { name: 'laptop-hr-03', ip: '10.9.5.8', owner: '孙丽', department: '人力资源部', criticality: 'low', environment: 'office', contact: '010-5550-0109' },
];

export interface Cmdb {
  readonly route: SimulatedRoute;
  readonly lookups: () => number;
}

/** `GET /v1/assets` and `GET /v1/assets/{name or ip}`. */
export function createCmdb(): Cmdb {
  const byKey = new Map(ASSETS.flatMap((asset) => [[asset.name, asset] as const, [asset.ip, asset] as const]));
  let lookups = 0;
  return {
    lookups: () => lookups,
    route: ({ method, path }) => {
      const [version, kind, name, ...rest] = path;
      if (method !== 'GET' || version !== 'v1' || kind !== 'assets' || rest.length > 0) return notFound('resource');
      if (name === undefined) return { status: 200, body: { assets: ASSETS.map(toJson) } };
      lookups += 1;
      const found = byKey.get(name.toLowerCase());
      return found === undefined ? notFound('asset') : { status: 200, body: toJson(found) };
    },
  };
}

function toJson({ name, ip, owner, department, criticality, environment, contact }: Asset): JsonObject {
  return { name, ip, owner, department, criticality, environment, contact };
}
