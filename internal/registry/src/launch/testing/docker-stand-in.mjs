#!/usr/bin/env node
// Stands in for the command line of Docker where there is no engine. It knows the arguments that the launcher may use
// and refuses all others; `run` starts a real program that serves a real port. Its state is the folder that DOCKER_HOST names.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const state = process.env.DOCKER_HOST?.replace('stand-in://', '') ?? fail(1, 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?');
mkdirSync(state, { recursive: true });
const [command, ...args] = process.argv.slice(2);
writeFileSync(path.join(state, 'calls.jsonl'), `${JSON.stringify([command, ...args])}\n`, { flag: 'a' });
const fileOf = (name) => path.join(state, `${name}.json`);

switch (command) {
  case 'run':
    run(args);
    break;
  case 'port': {
    const { port } = read(args[0]) ?? {};
    if (args.length !== 2 || args[1] !== '50051/tcp') fail(1, `unexpected arguments of port: ${args.join(' ')}`);
    if (port === undefined) fail(1, `Error: No public port '50051/tcp' published for ${args[0]}`);
    process.stdout.write(`127.0.0.1:${port}\n`);
    break;
  }
  case 'stop': {
    const [flag, seconds, name] = args;
    if (args.length !== 3 || flag !== '-t' || !/^\d+$/.test(seconds)) fail(1, `unexpected arguments of stop: ${args.join(' ')}`);
    const { pid } = read(name) ?? fail(1, `Error response from daemon: No such container: ${name}`);
    kill(pid, 'SIGTERM');
    const until = Date.now() + Number(seconds) * 1_000;
    const look = () => {
      if (!existsSync(fileOf(name))) process.exit(0);
      if (Date.now() >= until) kill(pid, 'SIGKILL');
      setTimeout(look, 20);
    };
    look();
    break;
  }
  case 'ps': {
    const [all, noTrunc, filter, condition, format, template] = args;
    if (args.length !== 6 || all !== '--all' || noTrunc !== '--no-trunc' || filter !== '--filter' || format !== '--format' || template !== '{{.ID}} {{.Label "dev.openeaap.start"}}') fail(1, `unexpected arguments of ps: ${args.join(' ')}`);
    const [, key, value] = /^label=([^=]+)=(.+)$/.exec(condition) ?? fail(1, `unexpected filter ${condition}`);
    for (const file of readdirSync(state).filter((name) => name.endsWith('.json'))) {
      const { labels } = JSON.parse(readFileSync(path.join(state, file), 'utf8'));
      if (labels[key] === value) process.stdout.write(`${file.slice(0, -5)} ${labels['dev.openeaap.start'] ?? ''}\n`);
    }
    break;
  }
  case 'rm':
    if (args[0] !== '--force') fail(1, `unexpected arguments of rm: ${args.join(' ')}`);
    for (const name of args.slice(1)) {
      const container = read(name);
      if (container !== null) kill(container.pid, 'SIGKILL');
      rmSync(fileOf(name), { force: true });
    }
    break;
  default:
    fail(125, `docker: '${command}' is not a docker command.`);
}

function run(args) {
  const flags = {};
  const rest = [...args];
  const many = { '--label': /^dev\.openeaap\.(node|start|plugin)=[\w-]+$/, '-e': /^[A-Za-z_]\w*$/ };
  const one = {
    '--name': /^openeaap-[\w-]+$/,
    '--tmpfs': /^\/tmp:rw,nosuid,nodev,size=\d+$/,
    '--cap-drop': /^ALL$/,
    '--security-opt': /^no-new-privileges$/,
    '--pids-limit': /^[1-9]\d*$/,
    '--memory': /^[1-9]\d*$/,
    '--memory-swap': /^[1-9]\d*$/,
    '--cpus': /^\d+(\.\d+)?$/,
    '--runtime': /^\w+$/,
    '--log-driver': /^none$/,
    '-p': /^127\.0\.0\.1::50051$/,
    '-v': /^\/[^:]+:\/openeaap\/tls:ro$/,
  };
  const alone = ['--rm', '--detach=false', '--read-only'];
  while (rest[0]?.startsWith('-')) {
    const flag = rest.shift();
    if (alone.includes(flag)) flags[flag] = true;
    else {
      const value = rest.shift() ?? '';
      if (!(many[flag] ?? one[flag])?.test(value)) fail(125, `docker: unexpected ${flag} ${value}`);
      if (one[flag] !== undefined && flags[flag] !== undefined) fail(125, `docker: ${flag} twice`);
      flags[flag] = many[flag] === undefined ? value : [...(flags[flag] ?? []), value];
    }
  }
  for (const flag of [...alone, ...Object.keys(one), ...Object.keys(many)]) if (flags[flag] === undefined && flag !== '--runtime') fail(125, `docker: ${flag} is missing`);
  const [image, ...others] = rest;
  if (image === undefined || others.length > 0) fail(125, `docker: unexpected arguments after the image: ${others.join(' ')}`);
  if (flags['--runtime'] !== undefined && flags['--runtime'] !== 'runsc') fail(125, `docker: Error response from daemon: unknown or invalid runtime name: ${flags['--runtime']}`);
  const [, mode = fail(125, `docker: Error response from daemon: pull access denied for ${image}, repository does not exist`)] = /^stand-in\/worker:([\w-]+)$/.exec(image) ?? [];

  // Bind mounts show their owner's folder, not the one around it.
  const tls = flags['-v'].split(':')[0];
  const env = Object.fromEntries(flags['-e'].map((name) => [name, process.env[name] ?? fail(125, `docker: the variable ${name} has no value`)]));
  if (env.OPENEAAP_PLUGIN_LISTEN !== '0.0.0.0:50051') fail(125, `docker: unexpected address ${env.OPENEAAP_PLUGIN_LISTEN}`);
  for (const name of ['OPENEAAP_PLUGIN_TLS_CERT', 'OPENEAAP_PLUGIN_TLS_KEY', 'OPENEAAP_PLUGIN_TLS_CLIENT_CA']) {
    env[name] = env[name].replace('/openeaap/tls', tls);
    if ((statSync(env[name]).mode & 0o004) === 0) fail(125, `docker: no other user can read ${env[name]}`);
  }
  if ((statSync(path.dirname(tls)).mode & 0o077) !== 0) fail(125, 'docker: every user of the machine can read the key');
  const labels = Object.fromEntries(flags['--label'].map((label) => label.split('=')));

  // The network of a container: its port is another one here.
  const child = spawn(process.execPath, [fileURLToPath(new URL('docker-worker.mjs', import.meta.url)), mode], { env: { ...env, OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:0' }, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const write = (more) => writeFileSync(fileOf(flags['--name']), JSON.stringify({ pid: child.pid, cli: process.pid, labels, flags, ...more }));
  write({});
  child.stdout.on('data', (chunk) => {
    process.stdout.write(chunk);
    const port = /"listen":"127\.0\.0\.1:(\d+)"/.exec(String(chunk))?.[1];
    if (port !== undefined) write({ port: Number(port) });
  });
  child.once('close', (code, signal) => {
    rmSync(fileOf(flags['--name']), { force: true });
    process.exit(signal === null ? code : signal === 'SIGKILL' ? 137 : 143);
  });
}

function read(name) {
  return existsSync(fileOf(name)) ? JSON.parse(readFileSync(fileOf(name), 'utf8')) : null;
}

function kill(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has gone.
  }
}

function fail(code, message) {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
