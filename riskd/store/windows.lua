-- What counts in windows that slide: bounded sets of members, and sums in buckets. Of the attempt it needs `now` and
-- `currency`.
local call = redis.call
local pack = cmsgpack.pack
local BUCKETS, SERIES = 60, 8 -- of a sum: buckets of its window, currencies kept apart
local FEW, MOST = 16, 256 -- distinct members kept in a text, and at all

-- Notes a member in a bounded set ordered by time; the oldest leave first.
local function note(name, member, bound, seconds)
  if call('ZADD', name, now, member) == 1 then
    call('ZREMRANGEBYRANK', name, 0, -bound - 1)
  end
  call('EXPIRE', name, seconds)
end

local function within(name, seconds)
  return call('ZCOUNT', name, now - seconds, '+inf')
end

-- Counts of three windows, shortest first, in a set that holds this attempt when `noted`: alone in the widest, it is
-- alone in all.
local function windows(name, noted, short, middle, wide)
  local most = within(name, wide)
  if most == 0 or noted and most == 1 then
    return most, most, most
  end
  return within(name, short), within(name, middle), most
end

-- What a series {bucket, sum, bucket, sum, …} holds of buckets from `oldest` on, and their sum. One that attempts told
-- late have put out of order stays as short as any: its oldest bucket leaves.
local function recent(series, oldest)
  local kept, sum, n, first = {}, 0, 0, 1
  for i = 1, series and #series or 0, 2 do
    if series[i] >= oldest then
      kept[n + 1], kept[n + 2] = series[i], series[i + 1]
      first = series[i] < kept[first] and n + 1 or first
      sum = sum + series[i + 1]
      n = n + 2
    end
  end
  if n > 2 * BUCKETS + 2 then
    sum = sum - kept[first + 1]
    table.remove(kept, first)
    table.remove(kept, first)
  end
  return kept, sum
end

-- Which series takes a sum of a currency: its own, or `*` when too many others are alive. What is in `*` counts for
-- each: too much rather than too little.
local function series_for(all, currency, oldest)
  if all[currency] then
    return currency
  end
  local held = 0
  for other, series in pairs(all) do
    if #recent(series, oldest) == 0 then
      all[other] = nil
    else
      held = held + 1
    end
  end
  return held < SERIES and currency or '*'
end

-- A sum over a sliding window, in the bucket that runs and the 60 whole ones before it: never too little. Answers the
-- series as it is to be kept, and the sum.
local function sum_of(series, seconds, value)
  local this = math.floor(now / (seconds / BUCKETS))
  local kept, sum = recent(series, this - BUCKETS)
  if not value then
    return kept, sum
  end
  local at = #kept - 1
  while at > 0 and kept[at] ~= this do
    at = at - 2
  end
  if at > 0 then
    kept[at + 1] = kept[at + 1] + value
  else
    kept[#kept + 1], kept[#kept + 2] = this, value
  end
  return kept, sum + value
end

-- The same of amounts, a series for each currency.
local function sum_of_money(all, seconds, value)
  local of = value and series_for(all, currency, math.floor(now / (seconds / BUCKETS)) - BUCKETS) or currency
  local series, sum = sum_of(all[of], seconds, value)
  if value then
    all[of] = series
  end
  if of ~= '*' and all['*'] then
    local _, beside = sum_of(all['*'], seconds)
    sum = sum + beside
  end
  return all, sum
end

-- How many different members a window has seen: a few are kept in place, {member, time, …}, more in a set of its own,
-- and then `true` in place.
local function distinct(members, seconds, member, name)
  if members == true then
    if member then
      note(name, member, MOST, math.ceil(seconds) + 1)
    end
    return true, within(name, seconds)
  end
  local kept, n, held = {}, 0, false
  for i = 1, #members, 2 do
    if members[i + 1] >= now - seconds then
      kept[n + 1], kept[n + 2] = members[i], members[i + 1]
      if members[i] == member then
        kept[n + 2], held = math.max(now, members[i + 1]), true
      end
      n = n + 2
    end
  end
  if member and not held then
    kept[n + 1], kept[n + 2] = member, now
    n = n + 2
  end
  if n <= 2 * FEW then
    return kept, n / 2
  end
  for i = 1, n, 2 do
    call('ZADD', name, kept[i + 1], kept[i])
  end
  call('EXPIRE', name, math.ceil(seconds) + 1)
  return true, within(name, seconds)
end
