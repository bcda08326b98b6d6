-- Counts one attempt and answers what is known. Everything here is atomic per call.
-- KEYS: one per letter of ARGV[1]: e epoch, o pending attempt, f the one whose place it takes, q request, s subject,
-- i address, n network, d device, p payload, r recipient, A and on: attributes. A single server gets all in one call, a
-- cluster one call per slot, and in place of f's key the attempt that is kept there as ARGV[2] of o's call.
-- ARGV[2]: the attempt, ARGV[3]: seconds an attempt waits for its outcome; ARGV[4], ARGV[5]: the policy's velocities and
-- what the attempt adds to each, where there are any. The fields of the attempt are locals, put in front of this text, and
-- so is windows.lua.
-- Answer: {0 counted | 1 repeated | 2 conflict | 3 takes the place of a repeated one, epoch, msgpack of the observation[,
-- what was noted as answered]}.
local MINUTES_5, MINUTES_10, HOUR, DAY = 300, 600, 3600, 86400
local MEMORY = 180 * DAY
local SMALL = 120 -- members; the server keeps sets of up to 128 in a compact form
local AMOUNTS = 100 -- sums of an hour and currency; with one more for each of 25 hours still the compact form
local key = {}
for i = 1, #KEYS do
  key[string.sub(ARGV[1], i, i)] = KEYS[i]
end

local epoch = key.e and call('GET', key.e) or false -- never nil, which would end the answer
if key.q then
  local kept = call('GET', key.q)
  if kept then
    local digest, answer = cmsgpack.unpack(kept)
    if digest ~= request_digest then
      return {2, epoch, ''}
    end
    local from, to = string.find(answer, instead or '', 1, true)
    -- Only the whole request's own entry says whose place is taken, and its entities keep what they counted.
    if not instead or not from or from > 8 or not (key.e or ARGV[1] == 'q') then
      local _, of = cmsgpack.unpack_one(answer, 3)
      return {1, epoch, answer, call('GET', key.q .. ':' .. of)}
    end
    if key.o then
      -- It is the same attempt: what is reported of either teaches once.
      call('SET', key.o, key.f and call('GET', key.f) or ARGV[2], 'EX', ARGV[3])
    end
    answer = string.sub(answer, 1, from - 1) .. decision_id .. string.sub(answer, to + 1)
    call('SET', key.q, pack(digest, answer), 'EX', DAY)
    return {3, epoch, answer}
  end
end

-- The first write must be one that a full server refuses: it lets a script go on that has written once.
if key.o then
  call('SET', key.o, ARGV[2], 'EX', ARGV[3])
end

-- A msgpack array of any items, nil among them; cmsgpack alone would make a map of a table with holes.
local function array(count, body)
  return string.char(0xdc, math.floor(count / 256), count % 256) .. body
end

local function age(time)
  time = tonumber(time)
  return time and math.max(0, now - time)
end

-- A known thing is kept as time|count|more.
local function known(value)
  if not value then
    return nil, 0, nil
  end
  local time, count, more = string.match(value, '^([^|]+)|(%d+)|(.*)$')
  local seconds = age(time)
  if not seconds or seconds > MEMORY then
    return nil, 0, nil
  end
  return seconds, tonumber(count), more ~= '' and more or nil
end

local function sees_places(kept)
  if not kept then
    return array(0, '')
  end
  local out = {}
  for _, p in ipairs(cmsgpack.unpack(kept)) do
    if age(p[5]) <= MEMORY then
      out[#out + 1] = array(7, pack(p[1] or nil, p[2] or nil, p[3] or nil, p[4] or nil, age(p[5]), p[6], p[7] or nil))
    end
  end
  return array(#out, table.concat(out))
end

local function differs(before, present)
  return before and present and before ~= present
end

-- A session: {country, device, network, home seen, started, seen, hopped, latitude, longitude, accuracy, seen country,
-- vague, confirmed}. The first three are its home: attempts never move it, only a confirmed success does, or a thief
-- would teach it. Of too many the one seen longest ago leaves, but none that a success confirmed before one that none
-- did: attempts in the subject's name, which anybody can make, must not drive out the owner's home.
local function sees_sessions(name)
  local own, others, held, leaves, leaves_seen, leaves_confirmed = nil, {}, 0, nil, math.huge, true
  local flat = call('HGETALL', name)
  for i = 1, #flat, 2 do
    local s = cmsgpack.unpack(flat[i + 1])
    held = held + 1
    if flat[i] == session then
      own = s
    else
      local confirmed = s[13] or false
      if leaves_confirmed and not confirmed or leaves_confirmed == confirmed and s[6] < leaves_seen then
        leaves, leaves_seen, leaves_confirmed = flat[i], s[6], confirmed
      end
      if now - s[6] <= session_window_s then
        others[#others + 1] = array(7, pack(
          s[8] or nil, s[9] or nil, s[10] or nil, s[11] or nil, age(s[6]), age(s[5]), s[12]))
      end
    end
  end
  local others_packed = array(#others, table.concat(others))
  if not session then
    return nil, nil, others_packed
  end
  local started = own and age(own[5])
  if not own then
    if held >= 8 then
      call('HDEL', name, leaves)
    end
    own = {country or false, device or false, network or false, now, now, now, false}
  elseif differs(own[1], country) or differs(own[2], device) or differs(own[3], network) then
    -- A hop stays for its window: evidence fresher than it can meet it, which renewal by each attempt would prevent.
    if (not own[7] or now - own[7] > hop_window_s) and now - own[4] <= hop_window_s then
      own[7] = now
    end
  else
    own[4] = math.max(own[4], now)
    own[1], own[2], own[3] = own[1] or country or false, own[2] or device or false, own[3] or network or false
  end
  local renews = not started or now - own[6] > HOUR
  own[6] = math.max(own[6], now)
  own[8], own[9], own[10] = latitude or false, longitude or false, accuracy_km or false
  own[11], own[12] = country or false, vague
  call('HSET', name, session, pack(own))
  if renews then
    call('EXPIRE', name, 7 * DAY)
  end
  return started, own[7] and age(own[7]) or nil, others_packed
end

-- Sums per hour and currency, in fields `hour|currency`; answers the sum of this hour and the 24 before it. No number
-- of amounts pushes one out. What comes in more currencies than fit is summed under `*` whatever its currency, and
-- counts for each of them: too much rather than too little.
local function amounts_of_a_day(name)
  if not currency then
    return 0
  end
  local this_hour = math.floor(now / HOUR)
  local sums, held, sum, old = {}, 0, 0, {}
  local flat = call('HGETALL', name)
  for i = 1, #flat, 2 do
    local hour, of = string.match(flat[i], '^(%-?%d+)|(.*)$')
    if tonumber(hour) < this_hour - 24 then
      old[#old + 1] = flat[i]
    else
      sums[flat[i]] = tonumber(flat[i + 1])
      held = held + 1
      if of == currency or of == '*' then
        sum = sum + sums[flat[i]]
      end
    end
  end
  if not amount then
    return sum
  end
  if #old > 0 then
    call('HDEL', name, unpack(old))
  end
  local bucket = string.format('%d|%s', this_hour, currency)
  if not sums[bucket] and held >= AMOUNTS then
    bucket = string.format('%d|*', this_hour)
  end
  call('HSET', name, bucket, string.format('%.17g', (sums[bucket] or 0) + amount))
  call('EXPIRE', name, 25 * HOUR)
  return sum + amount
end

local function field(letter, value)
  return value and letter .. value or '-'
end

local function changed(kind, time)
  return change == kind and 0 or age(time)
end

local function sees_subject(replays)
  local k = key.s
  local v = call('HMGET', k, 'token', 'core', 'known',
    field('d:', device), field('f:', family), field('i:', address), field('n:', network),
    field('c:', country), field('l:', language), field('r:', recipient), field('w:', country), field('m:', currency),
    'burst', 'at:contact', 'at:password', 'at:factor', 'at:recipient', 'reported', 'replayed', 'places', 'safe',
    field('h:', client), field('o:', os_family), field('k:', kind))
  if not v[1] then
    v[1] = token
    call('HSET', k, 'token', token)
  end
  if replays then
    v[19] = now
    call('HSET', k, 'replayed', now)
  end
  local confirmed, first, last, sin, cos, hours = 0, nil, nil, 0, 0, 0
  if v[2] then
    confirmed, first, last, sin, cos, hours = cmsgpack.unpack(v[2])
  end
  -- Who was last here longer ago than anything is remembered has no habits left to differ from.
  local forgotten = last and now - last > MEMORY
  if forgotten then
    hours, v[11], v[12] = 0, nil, nil
  end
  local counts = {0, 0, 0, 0, 0, 0, 0, 0}
  if v[3] and not forgotten then
    counts = {cmsgpack.unpack(v[3])}
  end
  local device_age, _, device_more = known(v[4])
  local device_since, device_family
  if device_more then
    device_since, device_family = string.match(device_more, '^([^|]*)|(.*)$')
    device_family = device_family ~= '' and device_family or nil
  end
  local family_age, family_count = known(v[5])
  local ip_age, ip_count = known(v[6])
  local network_age, network_count = known(v[7])
  local country_age, country_count = known(v[8])
  local language_age, recipient_age = known(v[9]), known(v[10])
  local client_age, client_count, client_major = known(v[22])
  local _, os_count = known(v[23])
  local _, kind_count = known(v[24])
  local rtt_mean, rtt_sd, rtts = nil, nil, 0
  if v[11] then
    local squares
    rtts, rtt_mean, squares = cmsgpack.unpack(v[11])
    rtt_sd = rtts > 1 and math.sqrt(math.max(0, squares) / (rtts - 1)) or nil
  end
  local median, p99, amounts = nil, nil, 0
  if v[12] then
    local _
    _, median, p99, amounts = cmsgpack.unpack(v[12])
  end

  note(k .. ':a', decision_id, SMALL, DAY)
  if not v[2] then
    call('EXPIRE', k, ARGV[3])
  end
  if address then
    note(k .. ':i', address, 64, DAY)
  end
  if sensitive then
    note(k .. ':v', decision_id, 64, DAY)
  end
  local attempts_5m, attempts_1h, attempts_24h = windows(k .. ':a', true, MINUTES_5, HOUR, DAY)
  local ips_5m, ips_1h, ips_24h = windows(k .. ':i', address, MINUTES_5, HOUR, DAY)
  local failures = within(k .. ':f', HOUR)
  local session_age, hop_age, sessions = sees_sessions(k .. ':s')
  return array(62, table.concat({
    pack(v[1], confirmed, age(first), age(last),
      device_age, device_family, family_age, ip_age, network_age, country_age, language_age, recipient_age,
      counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], counts[7],
      family_count, network_count, country_count, sin, cos, hours,
      rtt_mean, rtt_sd, rtts, median, p99, amounts),
    sees_places(v[20]),
    pack(attempts_5m, attempts_1h, attempts_24h, ips_5m, ips_1h, ips_24h,
      failures > 0 and within(k .. ':f', MINUTES_10) or 0, failures, failures > 0 and within(k .. ':g', HOUR) or 0,
      age(v[13]), within(k .. ':v', MINUTES_10), amounts_of_a_day(k .. ':t'),
      changed('contact', v[14]), changed('password', v[15]), changed('factor', v[16]), changed('recipient', v[17]),
      session_age, hop_age),
    sessions,
    pack(age(v[18]), age(v[19]), age(device_since), age(v[21]),
      ip_count, counts[8] or 0, client_age, client_count, tonumber(client_major), os_count, kind_count),
  }))
end

local function counts_failures(k)
  local failures = within(k .. ':f', HOUR)
  return failures, failures > 0 and within(k .. ':g', HOUR) or 0, within(k .. ':c', 30 * DAY)
end

local function sees_address()
  local users = key.i .. ':u'
  if subject then
    note(users, subject, 256, DAY)
  end
  local short, middle, wide = windows(users, subject, MINUTES_5, HOUR, DAY)
  return array(6, pack(short, middle, wide, counts_failures(key.i)))
end

local function sees_device()
  local users = key.d .. ':u'
  if subject then
    note(users, subject, 256, 30 * DAY)
  end
  return array(3, pack(windows(users, subject, HOUR, DAY, 30 * DAY)))
end

local function sees_payload()
  local kept = call('GET', key.p)
  if not kept then
    call('SET', key.p, pack(now, address or false, subject or false), 'EX', 7 * DAY)
    return array(2, pack(nil, false)), false
  end
  local time, from, of = cmsgpack.unpack(kept)
  local elsewhere = from ~= (address or false) or of ~= (subject or false)
  return array(2, pack(age(time), elsewhere)), elsewhere
end

local WAYS = {count = sum_of, sum = sum_of, money = sum_of_money, distinct = distinct}

-- The velocities of one entity, kept together: {id = {until when they say anything, …}}. Those that this attempt does
-- not count, of other actions or a former policy, stay until then.
local function velocities_of(name, declared, values, first, last, told)
  local kept = call('GET', name)
  local all, ends = kept and cmsgpack.unpack(kept) or {}, now
  for i = first, last do
    local shown, kind, seconds = declared[4 * i - 2], declared[4 * i - 1], declared[4 * i]
    local id = string.sub(shown, -8)
    if kind ~= 'money' or currency then
      local one = all[id] or {0, {}}
      one[2], told[2 * i] = WAYS[kind](one[2], seconds, values[i], name .. id)
      if values[i] then
        one[1] = math.max(one[1], now + seconds + seconds / BUCKETS)
      end
      all[id] = one
    end
  end
  for id, one in pairs(all) do
    if one[1] < now then
      all[id] = nil
    end
    ends = math.max(ends, one[1])
  end
  if ends > now then
    call('SET', name, pack(all), 'EX', math.ceil(ends - now) + 1)
  end
end

-- Counts what the policy declares, entity by entity, and answers a map. What an attempt counts on but does not present
-- leaves a velocity unknown; where it only does not say what is counted (no device, no amount), the count so far is
-- answered.
local function sees_velocities()
  local declared, values = cmsgpack.unpack(ARGV[4]), cmsgpack.unpack(ARGV[5])
  local told, count, first = {}, #declared / 4, 1
  for i = 1, count do
    local letter = declared[4 * i - 3]
    told[2 * i - 1] = declared[4 * i - 2]
    if letter ~= declared[4 * i + 1] then
      if key[letter] then
        velocities_of(key[letter] .. ':y', declared, values, first, i, told)
      end
      first = i + 1
    end
  end
  return string.char(0xde, 0, count) .. pack(unpack(told, 1, 2 * count))
end

local NIL = pack(nil)
local payload_seen, replays = NIL, false
if key.p then
  payload_seen, replays = sees_payload()
end
local answer = array(ARGV[4] and 8 or 7, table.concat({
  pack(decision_id, now),
  key.s and sees_subject(replays) or NIL,
  key.i and sees_address() or NIL,
  key.n and array(3, pack(counts_failures(key.n))) or NIL,
  key.d and sees_device() or NIL,
  payload_seen,
  ARGV[4] and sees_velocities() or '',
}))
if key.q then
  call('SET', key.q, pack(request_digest, answer), 'EX', DAY)
end
return {0, epoch, answer}
