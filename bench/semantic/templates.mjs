// Pairs made by templates, always the same ones: the wording is ours, the addresses, names and numbers are drawn from a seeded
// generator. A slot `{ip}` gets one value in both questions of a pair that is the same; in one that is not, `{ip!}` gets two.
const SEED = 20_261_124;

/** [family, language, a, b, how many]. */
const SAME = [
  ['template_lookup', 'en', 'What is the threat level of {ip}?', 'Which threat level does {ip} have?', 4],
  ['template_lookup', 'en', 'Is the IP address {ip} malicious?', 'Can you check whether the IP address {ip} is malicious?', 4],
  ['template_lookup', 'en', 'Which hosts are affected by {cve}?', 'Show the hosts that are affected by {cve}.', 4],
  ['template_lookup', 'en', 'Who owns the host {host}?', 'Who is the owner of the host {host}?', 4],
  ['template_lookup', 'en', 'Show the failed logins of {user} in the last {n} hours.', 'In the last {n} hours, which failed logins did {user} have?', 4],
  ['template_lookup', 'en', 'Is the file with the hash {hash} known malware?', 'Is the hash {hash} that of known malware?', 4],
  ['template_lookup', 'en', 'How many alerts did {host} raise on {date}?', 'On {date}, how many alerts did {host} raise?', 4],
  ['template_lookup', 'en', 'When did {user} log in to {host} last?', 'What was the last time {user} logged in to {host}?', 4],
  ['template_lookup', 'zh', '{ip}的威胁等级是多少？', '请查询{ip}的威胁等级是多少。', 4],
  ['template_lookup', 'zh', 'IP地址{ip}是恶意的吗？', '请问IP地址{ip}是否恶意？', 4],
  ['template_lookup', 'zh', '哪些主机受{cve}影响？', '列出受{cve}影响的主机。', 4],
  ['template_lookup', 'zh', '主机{host}的负责人是谁？', '谁负责主机{host}？', 4],
  ['template_lookup', 'zh', '{user}最近{n}小时有哪些失败的登录？', '请列出{user}在最近{n}小时内失败的登录。', 4],
  ['template_lookup', 'zh', '{host}在{date}产生了多少条告警？', '{date}那天{host}产生了多少条告警？', 4],
  ['template_action', 'en', 'How do I block {ip} on the {product}?', 'How can I block {ip} on the {product}?', 4],
  ['template_action', 'en', 'Please isolate the host {host} now.', 'Isolate the host {host} now.', 4],
  ['template_action', 'en', 'How do I grant {user} access to {host}?', 'What do I do to give {user} access to {host}?', 4],
  ['template_action', 'zh', '如何在{product}上封禁{ip}？', '怎样在{product}上封禁{ip}？', 4],
  ['template_action', 'zh', '请隔离主机{host}。', '隔离主机{host}。', 4],
  ['template_howto', 'en', 'How do I reset my password in {product}?', 'I want to reset my password in {product}. How do I do that?', 6],
  ['template_howto', 'en', 'How do I export the logs of {product}?', 'What is the way to export logs from {product}?', 6],
  ['template_howto', 'zh', '如何在{product}中重置密码？', '在{product}里怎么重置密码？', 6],
  ['template_howto', 'zh', '怎么导出{product}的日志？', '如何导出{product}的日志？', 6],
];

const OTHER = [
  ['address', 'en', 'What is the threat level of {ip!}?', 'What is the threat level of {ip!}?', 14],
  ['address', 'en', 'Is the IP address {ip!} malicious?', 'Can you check whether the IP address {ip!} is malicious?', 8],
  ['address', 'en', 'Which hosts talked to {ip!} in the last {n} hours?', 'Which hosts talked to {ip!} in the last {n} hours?', 8],
  ['address', 'zh', '{ip!}的威胁等级是多少？', '{ip!}的威胁等级是多少？', 12],
  ['address', 'zh', '如何封禁{ip!}？', '怎样封禁{ip!}？', 6],
  ['identifier', 'en', 'Which hosts are affected by {cve!}?', 'Which hosts are affected by {cve!}?', 12],
  ['identifier', 'en', 'Is there a patch for {cve!}?', 'Is a patch for {cve!} available?', 8],
  ['identifier', 'zh', '哪些主机受{cve!}影响？', '哪些主机受{cve!}影响？', 10],
  ['hash', 'en', 'Is the file with the hash {hash!} known malware?', 'Is the file with the hash {hash!} known malware?', 12],
  ['hash', 'zh', '哈希值{hash!}的文件安全吗？', '哈希值{hash!}的文件安全吗？', 8],
  ['name', 'en', 'When did {user!} log in last?', 'When did {user!} log in last?', 10],
  ['name', 'en', 'Who owns the host {host!}?', 'Who is the owner of the host {host!}?', 10],
  ['name', 'zh', '{user!}属于哪个部门？', '{user!}属于哪个部门？', 8],
  ['name', 'zh', '主机{host!}在哪个机房？', '主机{host!}在哪个机房？', 8],
  ['number', 'en', 'Show the top {n!} noisy rules.', 'Show the top {n!} noisy rules.', 10],
  ['number', 'en', 'What does event ID {event!} mean?', 'What does event ID {event!} mean?', 10],
  ['number', 'en', 'Is port {port!} open on {host}?', 'Is port {port!} open on {host}?', 10],
  ['number', 'zh', '事件ID {event!}是什么意思？', '事件ID {event!}是什么意思？', 10],
  ['number', 'zh', '{host}的{port!}端口开放了吗？', '{host}的{port!}端口开放了吗？', 8],
  ['time', 'en', 'How many alerts did {host} raise on {date!}?', 'How many alerts did {host} raise on {date!}?', 10],
  ['time', 'en', 'Show failed logins of the last {n!} hours.', 'Show failed logins of the last {n!} hours.', 8],
  ['time', 'en', 'List incidents of the last {n} hours.', 'List incidents of the last {n} days.', 8],
  ['time', 'zh', '{date!}有多少条告警？', '{date!}有多少条告警？', 8],
  ['time', 'zh', '最近{n}小时的事件有哪些？', '最近{n}天的事件有哪些？', 8],
  ['product', 'en', 'How do I reset my password in {product!}?', 'How do I reset my password in {product!}?', 12],
  ['product', 'en', 'How do I export the logs of {product!}?', 'How do I export the logs of {product!}?', 8],
  ['product', 'zh', '如何在{product!}中重置密码？', '如何在{product!}中重置密码？', 8],
  ['direction', 'en', 'Did {host!} connect to {host!}?', 'Did {host!2} connect to {host!1}?', 12],
  ['direction', 'en', 'Was traffic from {ip!} to {ip!} blocked?', 'Was traffic from {ip!2} to {ip!1} blocked?', 10],
  ['direction', 'zh', '{host!}访问过{host!}吗？', '{host!2}访问过{host!1}吗？', 10],
  ['negation', 'en', 'Which servers run {product}?', 'Which servers do not run {product}?', 8],
  ['negation', 'en', 'Did {user} approve the request?', 'Did {user} not approve the request?', 8],
  ['negation', 'zh', '哪些服务器安装了{product}？', '哪些服务器没有安装{product}？', 8],
  ['opposite', 'en', 'How do I enable {product} on {host}?', 'How do I disable {product} on {host}?', 10],
  ['opposite', 'en', 'Add {user} to the group of {host}.', 'Remove {user} from the group of {host}.', 8],
  ['opposite', 'zh', '如何在{host}上启用{product}？', '如何在{host}上停用{product}？', 8],
  ['question_word', 'en', 'Who isolated {host}?', 'Why was {host} isolated?', 8],
  ['question_word', 'en', 'When was {cve} published?', 'Where was {cve} published?', 6],
  ['question_word', 'zh', '{host}是谁隔离的？', '{host}为什么被隔离？', 8],
  ['quantity', 'en', 'Close all alerts of {host}.', 'Close the first alert of {host}.', 6],
  ['condition', 'en', 'List the alerts of {host}.', 'List the alerts of {host} that {user} closed.', 6],
  ['condition', 'zh', '列出{host}的告警。', '列出{host}上{user}关闭的告警。', 6],
];

const USERS = ['alice', 'bob.miller', 'c.garcia', 'dwang', 'e.novak', 'svc-backup', 'svc-deploy', 'j.smith', 'k.lee', 'm.rossi'];
const SITES = ['web', 'db', 'mail', 'fin', 'hr', 'gw', 'ws', 'app'];
const PRODUCTS = ['Okta', 'Splunk', 'Jira', 'CrowdStrike', 'Defender', 'Grafana', 'Palo Alto', 'FortiGate', 'Confluence', 'Zscaler', 'Sysmon', 'BitLocker'];
const PORTS = [22, 80, 443, 445, 636, 1433, 3306, 3389, 5432, 5985, 8080, 8443];
const EVENTS = [4624, 4625, 4634, 4648, 4672, 4688, 4697, 4720, 4726, 4740, 4768, 4769];

export function makeTemplatePairs() {
  const random = mulberry32(SEED);
  const below = (count) => Math.floor(random() * count);
  const pick = (list) => list[below(list.length)];
  const draw = {
    ip: () => pick([`10.${below(256)}.${below(256)}.${1 + below(254)}`, `192.0.2.${1 + below(254)}`, `198.51.100.${1 + below(254)}`, `203.0.113.${1 + below(254)}`]),
    cve: () => `CVE-${2014 + below(11)}-${1_000 + below(48_000)}`,
    hash: () => Array.from({ length: pick([32, 40, 64]) }, () => '0123456789abcdef'[below(16)]).join(''),
    host: () => `${pick(SITES)}-${String(1 + below(60)).padStart(2, '0')}`,
    user: () => pick(USERS),
    n: () => String(2 + below(70)),
    port: () => String(pick(PORTS)),
    event: () => String(pick(EVENTS)),
    date: () => `2026-${String(1 + below(12)).padStart(2, '0')}-${String(1 + below(28)).padStart(2, '0')}`,
    product: () => pick(PRODUCTS),
  };
  /** Half of them differ in one character only, as in the questions of somebody who works through a list. */
  const drawOther = (kind, value) => {
    if (['ip', 'cve', 'hash', 'host'].includes(kind) && random() < 0.5) {
      const last = value.at(-1);
      const next = kind === 'hash' ? '0123456789abcdef' : '0123456789';
      const other = next[(next.indexOf(last) + 1 + below(next.length - 1)) % next.length];
      if (!(kind === 'ip' && other === '0')) return value.slice(0, -1) + other;
    }
    for (;;) {
      const other = draw[kind]();
      if (other !== value) return other;
    }
  };
  const fill = ([family, lang, a, b]) => {
    const shared = new Map();
    const changed = new Map();
    let turn = 0;
    const slot = (isSecond) => (_, kind, mark) => {
      if (mark === undefined) {
        if (!shared.has(kind)) shared.set(kind, draw[kind]());
        return shared.get(kind);
      }
      // `{host!2}`: the value that was drawn second.
      if (mark.length > 1) return changed.get(`${kind}${mark.slice(1)}`);
      turn += 1;
      const value = turn === 1 && !isSecond ? draw[kind]() : drawOther(kind, changed.get(`${kind}1`));
      changed.set(`${kind}${turn}`, value);
      return value;
    };
    const first = a.replaceAll(/\{(\w+?)(!\d?)?\}/g, slot(false));
    return { a: first, b: b.replaceAll(/\{(\w+?)(!\d?)?\}/g, slot(true)), family, lang };
  };
  const make = (rows, same) => rows.flatMap((row) => uniquely(row[4], () => ({ ...fill(row), same, origin: 'template' })));
  return [...make(SAME, true), ...make(OTHER, false)];
}

/** So many different ones; the slots have more values than are asked for. */
function uniquely(count, make) {
  const seen = new Map();
  for (let tries = 0; seen.size < count && tries < 1_000; tries += 1) {
    const pair = make();
    if (pair.a !== pair.b) seen.set([pair.a, pair.b].sort().join('\n'), pair);
  }
  return [...seen.values()];
}

/** A small generator with 32 bits of state (public domain algorithm of that name); the same numbers everywhere. */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
