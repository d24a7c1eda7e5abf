import { describe, expect, test } from 'vitest';
import { classify } from './classify.ts';

describe('classify', () => {
  test.each([
    ['a private key', ['-----BEGIN RSA', 'PRIVATE KEY-----'].join(' '), 'secret.private_key'],
    ['an access key', ['id AKIA', 'ABCDEFGHIJKLMNOP'].join(''), 'secret.aws_access_key'],
    ['a password', '数据库口令：Tr0ub4dor&3x', 'secret.assignment'],
    ['an identity card', '身份证 11010519491231002X', 'pii.cn_identity_card'],
    ['a payment card', 'card 4111 1111 1111 1111 on file', 'pii.payment_card'],
    ['a Chinese marking', '本文件属机密', 'marking.confidential'],
    ['an English marking', 'STRICTLY CONFIDENTIAL', 'marking.confidential'],
  ])('labels %s Confidential', (_name, text, reason) => {
    const { sensitivity, reasons } = classify(text);
    expect(sensitivity).toBe(3);
    expect(reasons).toContain(reason);
  });

  test.each(['call 13812345678', 'write to soc@example.com', '内部资料', 'for internal use only'])('labels %j Internal', (text) => {
    expect(classify(text).sensitivity).toBe(2);
    expect(classify(text).reasons).not.toEqual([]);
  });

  test('labels text without findings Internal, never Public', () => {
    expect(classify('Open to the public. 公开')).toEqual({ sensitivity: 2, reasons: [] });
    expect(classify('')).toEqual({ sensitivity: 2, reasons: [] });
  });

  test('takes no number with a wrong check digit for a card or identity', () => {
    expect(classify('110105194912310021 4111 1111 1111 1112').reasons).toEqual([]);
  });
});
