/**
 * The counters of `limit-window.ts` in Redis: a hash of `b` (bucket), `u` (used) and `p` (the bucket
 * before). ARGV[1] is the time in milliseconds, or empty for the server's own. Numbers are written
 * with %.0f, for Lua would print large ones as 1e+15.
 */
const SHARED = `
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local function text(n) return string.format('%.0f', n) end

-- Civil months from days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
local function monthOf(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return year * 12 + month - 1
end

local function bucketAt(window)
  if window == 'minute' then return math.floor(now / 60000) end
  if window == 'day' then return math.floor(now / 86400000) end
  if window == 'month' then return monthOf(math.floor(now / 86400000)) end
  return 0
end

local function read(key)
  local h = redis.call('HMGET', key, 'b', 'u', 'p')
  return { b = tonumber(h[1]) or 0, u = tonumber(h[2]) or 0, p = tonumber(h[3]) or 0 }
end

local function rolled(key, window)
  local c, b = read(key), bucketAt(window)
  if b <= c.b then return c end
  if b == c.b + 1 then return { b = b, u = 0, p = c.u } end
  return { b = b, u = 0, p = 0 }
end

-- A day is kept for a day longer than it counts, a month for a month: the keys are few.
local KEEP_MS = { minute = 180000, day = 172800000, month = 5356800000 }

local function write(key, window, c)
  redis.call('HSET', key, 'b', text(c.b), 'u', text(c.u), 'p', text(c.p))
  if KEEP_MS[window] then redis.call('PEXPIRE', key, KEEP_MS[window]) end
end
`;

/** ARGV from 2 on: window, amount, limit of each key. Answers with granted (1 or 0), now, and all counters. */
export const TAKE_SCRIPT = `${SHARED}
local states, fits = {}, true
for i, key in ipairs(KEYS) do
  local window, amount, limit = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local c = rolled(key, window)
  local counted = c.u
  if window == 'minute' then counted = c.u + c.p * math.min(1, math.max(0, ((c.b + 1) * 60000 - now) / 60000)) end
  if counted + amount > limit then fits = false end
  states[i] = c
end
local answer = { fits and '1' or '0', text(now) }
for i, key in ipairs(KEYS) do
  local c = states[i]
  if fits then
    c.u = c.u + tonumber(ARGV[i * 3])
    write(key, ARGV[i * 3 - 1], c)
  end
  answer[#answer + 1] = text(c.b)
  answer[#answer + 1] = text(c.u)
  answer[#answer + 1] = text(c.p)
end
return answer
`;

/** ARGV from 2 on: window, bucket, amount of each key. */
export const GIVE_SCRIPT = `${SHARED}
for i, key in ipairs(KEYS) do
  local window, bucket, amount = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  if amount < 0 then
    local c = rolled(key, window)
    c.u = c.u - amount
    write(key, window, c)
  elseif redis.call('EXISTS', key) == 1 then
    local c = read(key)
    if c.b == bucket then
      c.u = math.max(0, c.u - amount)
      write(key, window, c)
    elseif c.b == bucket + 1 then
      c.p = math.max(0, c.p - amount)
      write(key, window, c)
    end
  end
end
return 'OK'
`;
