-- Does what the outcome of an attempt asks for. Atomic per call; a second call with the same decision changes nothing.
-- KEYS: one per letter of ARGV[1]: r outcomes reported, s subject, i address, n network. ARGV[2]: the attempt as it was
-- counted, ARGV[3]: the settlement, ARGV[4]: seconds an attempt waits for its outcome. The fields of both are locals,
-- put in front of this text. Answer: {0 done | 1 this outcome was reported before, the subject's token}.
local DAY = 86400
local MEMORY = 180 * DAY
local KEPT = 400 * DAY -- that somebody was here is kept longer than his habits, so that a dormant account is seen to wake
-- How many of each kind a subject may be known by; the least recently confirmed leave first.
local BOUNDS = {d = 20, f = 20, i = 50, n = 20, c = 20, l = 10, r = 100, m = 8, h = 20, o = 10, k = 5}
local KINDS = {'d', 'f', 'i', 'n', 'c', 'l', 'r', 'h'}
local BURST = 5
local SMALL = 120 -- members; the server keeps sets of up to 128 in a compact form
local call = redis.call
local pack = cmsgpack.pack
local key = {}
for i = 1, #KEYS do
  key[string.sub(ARGV[1], i, i)] = KEYS[i]
end

local token_kept = key.s and call('HGET', key.s, 'token')
if key.r then
  if call('SADD', key.r, outcome) == 0 then
    return {1, token_kept or false}
  end
  call('EXPIRE', key.r, ARGV[4])
end

local failed = outcome == 'login_failed' or outcome == 'action_failed' or outcome == 'step_up_failed'
local reported = outcome == 'confirmed_fraud' or outcome == 'reported_by_user'
local evidence = decided == 3 or outcome == 'step_up_passed'
local presented = {
  d = device, f = family, i = address, n = network, c = country, l = language, r = recipient,
  h = client, o = os_family, k = kind,
}

-- Answers whether the member is new.
local function note(name, member, time, bound, seconds)
  local new = call('ZADD', name, time, member) == 1
  call('ZREMRANGEBYRANK', name, 0, -bound - 1)
  call('EXPIRE', name, seconds)
  return new
end

local function count_failure(k, who, bound)
  note(k .. ':f', decision_id, at, bound, 3600)
  if who then
    note(k .. ':g', who, at, bound, 3600)
  end
end

-- Drops what is too old or too much, and writes down how many of each kind remain.
local function tidy(k)
  local held, drop = {}, {}
  local flat = call('HGETALL', k)
  for i = 1, #flat, 2 do
    local kind = string.match(flat[i], '^(%a):')
    if BOUNDS[kind] then
      local time
      if kind == 'm' then
        time = cmsgpack.unpack(flat[i + 1])
      else
        time = tonumber(string.match(flat[i + 1], '^[^|]+'))
      end
      held[kind] = held[kind] or {}
      table.insert(held[kind], {time or 0, flat[i]})
    end
  end
  local counts = {}
  for kind, bound in pairs(BOUNDS) do
    local list = held[kind] or {}
    table.sort(list, function(a, b) return a[1] > b[1] end)
    counts[kind] = 0
    for rank, item in ipairs(list) do
      if rank > bound or now - item[1] > MEMORY then
        drop[#drop + 1] = item[2]
        if kind == 'c' then
          drop[#drop + 1] = 'w' .. string.sub(item[2], 2)
        elseif kind == 'm' then
          call('HDEL', k .. ':l', string.sub(item[2], 3))
        end
      else
        counts[kind] = counts[kind] + 1
      end
    end
  end
  if #drop > 0 then
    call('HDEL', k, unpack(drop))
  end
  local row = {}
  for i, kind in ipairs(KINDS) do
    row[i] = counts[kind]
  end
  call('HSET', k, 'known', pack(unpack(row)))
end

-- One success more (step 1) or one taken back (step -1).
local function count_success(k, step)
  local core = call('HGET', k, 'core')
  local confirmed, first, last, sin, cos, hours = 0, now, now, 0, 0, 0
  if core then
    confirmed, first, last, sin, cos, hours = cmsgpack.unpack(core)
  elseif step < 0 then
    return
  end
  local angle = 2 * math.pi * (now % DAY) / DAY
  call('HSET', k, 'core', pack(math.max(0, confirmed + step), math.min(first, now), math.max(last, now),
    sin + step * math.sin(angle), cos + step * math.cos(angle), math.max(0, hours + step)))
end

local function count_things(k, step)
  for kind, value in pairs(presented) do
    local name = kind .. ':' .. value
    local held = call('HGET', k, name)
    local time, count, more = 0, 0, ''
    if held then
      time, count, more = string.match(held, '^([^|]+)|(%d+)|(.*)$')
      time, count = tonumber(time), tonumber(count)
    end
    if kind == 'd' then
      -- When the device first became known, and the family it was last confirmed with.
      local since, with = string.match(more, '^([^|]*)|(.*)$')
      if now >= time then
        with = family or ''
      end
      more = (since or string.format('%.3f', now)) .. '|' .. (with or '')
    end
    if kind == 'h' and browser_major and step > 0 then
      -- The newest version; it stays when a success is taken back, since older ones are not kept.
      more = string.format('%d', math.max(tonumber(more) or 0, browser_major))
    end
    if step > 0 then
      call('HSET', k, name, string.format('%.3f|%d|', math.max(time, now), count + 1) .. more)
    elseif held and (count <= 1 or kind == 'd' or kind == 'i' or kind == 'r') then
      -- After a fraud the thief's device, address and payee must not stay known, though the owner may share them.
      call('HDEL', k, name)
    elseif held then
      call('HSET', k, name, string.format('%.3f|%d|', time, count - 1) .. more)
    end
  end
end

-- Welford's running mean and sum of squares of ln(round-trip time), per country; step -1 takes a value out again.
local function count_rtt(k, step)
  if not (rtt_ms and country) then
    return
  end
  local n, mean, squares = 0, 0, 0
  local held = call('HGET', k, 'w:' .. country)
  if held then
    n, mean, squares = cmsgpack.unpack(held)
  end
  if n + step < 1 then
    call('HDEL', k, 'w:' .. country)
    return
  end
  local x = math.log(math.max(rtt_ms, 0.1))
  local off = x - mean
  n = n + step
  mean = mean + step * off / n
  squares = math.max(0, squares + step * off * (x - mean))
  call('HSET', k, 'w:' .. country, pack(n, mean, squares))
end

-- Median and 99th percentile (nearest rank) of the last 100 confirmed amounts, per currency.
local function count_amount(k, step)
  if not amount then
    return
  end
  local held = call('HGET', k .. ':l', currency)
  local list = held and cmsgpack.unpack(held) or {}
  if step > 0 then
    table.insert(list, amount)
    if #list > 100 then
      table.remove(list, 1)
    end
  else
    for i = #list, 1, -1 do
      if list[i] == amount then
        table.remove(list, i)
        break
      end
    end
  end
  if #list == 0 then
    call('HDEL', k .. ':l', currency)
    call('HDEL', k, 'm:' .. currency)
    return
  end
  call('HSET', k .. ':l', currency, pack(list))
  call('EXPIRE', k .. ':l', MEMORY)
  table.sort(list)
  local n = #list
  local median = (list[math.floor((n + 1) / 2)] + list[math.ceil((n + 1) / 2)]) / 2
  call('HSET', k, 'm:' .. currency, pack(now, median, list[math.ceil(0.99 * n)], n))
end

-- The 5 latest distinct places, latest first: {latitude, longitude, accuracy, country, time, vague, address}.
local function keep_place(k, step)
  local held = call('HGET', k, 'places')
  local places = {}
  if step > 0 and (latitude or country) then
    places[1] = {latitude or false, longitude or false, accuracy_km or false, country or false, now, vague,
      address or false}
  end
  for _, p in ipairs(held and cmsgpack.unpack(held) or {}) do
    local same
    if step > 0 then
      same = p[1] == (latitude or false) and p[2] == (longitude or false) and p[4] == (country or false)
      if same and places[1] and p[5] > now then
        places[1] = p
      end
    else
      same = p[5] == now and p[7] == (address or false)
    end
    if not same then
      places[#places + 1] = p
    end
  end
  table.sort(places, function(a, b) return a[5] > b[5] end)
  places[6] = nil
  if #places > 0 then
    call('HSET', k, 'places', pack(places))
  else
    call('HDEL', k, 'places')
  end
end

-- A confirmed success moves the session's home; out of a hop only fresh evidence leads.
local function settle_session(k)
  local held = session and call('HGET', k .. ':s', session)
  if not held then
    return
  end
  local s = cmsgpack.unpack(held)
  if s[7] and not evidence then
    return
  end
  s[1], s[2], s[3] = country or s[1], device or s[2], network or s[3]
  s[4], s[7] = math.max(s[4], now), false
  s[13] = true -- it stays when sessions that nothing confirmed crowd in
  call('HSET', k .. ':s', session, pack(s))
end

local function count_habits(k, step)
  count_success(k, step)
  count_things(k, step)
  count_rtt(k, step)
  count_amount(k, step)
  keep_place(k, step)
  tidy(k)
end

-- A report stands until fresh evidence, later than it, answers it. Meanwhile it may be set aside: 'safe' is when
-- somebody vouched for the reported attempt, or for one made since; an earlier one's honesty says nothing of it.
local function report(k)
  local last, safe = unpack(call('HMGET', k, 'reported', 'safe'))
  call('HSET', k, 'reported', math.max(tonumber(last) or at, at))
  if safe and at >= tonumber(safe) then
    call('HDEL', k, 'safe')
  end
end

local function set_report_aside(k, own)
  local time, safe, core = unpack(call('HMGET', k, 'reported', 'safe', 'core'))
  time = tonumber(time)
  if not time or at < time or not (own or now >= time) then
    return
  end
  if core and not safe then
    local _, _, last = cmsgpack.unpack(core)
    if last > time then
      return -- Answered.
    end
  end
  call('HSET', k, 'safe', math.max(tonumber(safe) or at, at))
end

local function answer_report(k)
  local time = tonumber(call('HGET', k, 'reported'))
  if time and now > time then
    call('HDEL', k, 'safe')
  end
end

-- Settled decisions: `+id` taught the subject's habits, `-id` never may (again). Reports and their opposite stand there
-- too, each by its own name, for a cluster tells the subject of a repeat before it knows it for one.
local function settle_subject(k)
  if not token_kept then
    return -- Forgotten since: nothing of the subject comes back.
  end
  local settled = k .. ':z'
  local taught = call('ZSCORE', settled, '+' .. decision_id)
  local barred = call('ZSCORE', settled, '-' .. decision_id)
  if outcome == 'confirmed_legitimate' and note(settled, outcome .. decision_id, at, SMALL, ARGV[4]) then
    set_report_aside(k, barred)
  end
  if confirms and evidence and not barred then
    answer_report(k)
  end
  if failed then
    count_failure(k, address, 64)
  elseif reported then
    if note(settled, outcome .. decision_id, at, SMALL, ARGV[4]) then
      report(k)
    end
    if not barred then
      note(settled, '-' .. decision_id, at, SMALL, ARGV[4])
      if taught then
        count_habits(k, -1)
      end
    end
  elseif confirms and not taught and not barred then
    note(settled, '+' .. decision_id, at, SMALL, ARGV[4])
    count_habits(k, 1)
    settle_session(k)
    if change then
      call('HSET', k, 'at:' .. change, now)
    end
    call('EXPIRE', k, KEPT)
  end
  if (outcome == 'login_succeeded' or outcome == 'action_completed') and not evidence
    and call('ZCOUNT', k .. ':f', at - 600, at) >= BURST then
    call('HSET', k, 'burst', at)
  end
end

local function settle_crowd(k)
  if failed then
    count_failure(k, subject, 256)
  elseif subject and reported then
    call('ZREM', k .. ':c', subject)
  elseif subject and confirms then
    note(k .. ':c', subject, now, 256, 30 * DAY)
  end
end

if key.s then
  settle_subject(key.s)
end
if key.i then
  settle_crowd(key.i)
end
if key.n then
  settle_crowd(key.n)
end
return {0, token_kept or false}
