-- Adds or removes entries of one list, all of them or none, and notes each change for those who follow the list.
-- KEYS: the list, how often it changed, its latest changes. ARGV[1]: `add` or `remove`, ARGV[2]: the most entries that it
-- may hold, ARGV[3]: how many changes are kept, ARGV[4]: seconds for which all is kept; then each entry's key and value,
-- which is empty where it is removed.
-- Answer: {0 done | 1 full and nothing done, 1 or 0 for each entry: it was not there before, or was and is gone}.
local call = redis.call
local list, count, changes = KEYS[1], KEYS[2], KEYS[3]
local adds = ARGV[1] == 'add'

if adds then
  local new = 0
  for i = 5, #ARGV, 2 do
    new = new + 1 - call('HEXISTS', list, ARGV[i])
  end
  if new > 0 and call('HLEN', list) + new > tonumber(ARGV[2]) then
    return {1}
  end
end

local told = {0}
for i = 5, #ARGV, 2 do
  local done
  if adds then
    done = call('HSET', list, ARGV[i], ARGV[i + 1])
  else
    done = call('HDEL', list, ARGV[i])
  end
  if adds or done == 1 then
    local number = call('INCR', count)
    if number == 1 then
      call('DEL', changes) -- of a list that was counted before, and whose count is lost
    end
    call('XADD', changes, 'MAXLEN', '~', ARGV[3], string.format('%d-0', number), ARGV[i], ARGV[i + 1])
  end
  told[#told + 1] = done
end
for i = 1, 3 do
  call('EXPIRE', KEYS[i], ARGV[4])
end
return told
