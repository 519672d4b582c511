"""The arithmetic of the limits as Redis runs it: GCRA (ITU-T I.371), the same as of the limits in one process.

The time is the server's. Callers' clocks differ by what their time servers allow, and one that is an hour ahead
would lock everybody else out; a monotonic clock is not shared. Where the server's own clock is set back, or a replica
with another one takes over, an allowance is whole again within one window, because no debt counts for more.
"""

from __future__ import annotations

from typing import Final

LIMITS: Final = """
-- KEYS: one for each subject; it holds the microseconds at which its queries and its wrong codes are whole again.
-- ARGV: what to do; for each subject seven numbers, with a space after each: interval and window of queries, interval
-- and window of wrong codes (microseconds), longest slowing (ms), queries and wrong codes to count in any case.
-- Returns how long to wait (microseconds, 0: admitted) and how long the answer is slowed (ms).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function ahead_of(at, window)
  return math.min(math.max((tonumber(at) or now) - now, 0), window)
end

local function keep(key, queries, wrongs)
  local longest = math.max(queries, wrongs)
  if longest <= 0 then
    redis.call('DEL', key)
  else
    local value = string.format('%.0f %.0f', now + queries, now + wrongs)
    redis.call('SET', key, value, 'PX', math.ceil(longest / 1000) + 1)
  end
end

local wait, slow, spent = 0, 0, {}
local limits = string.gmatch(ARGV[2], '(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ')
for _, key in ipairs(KEYS) do
  local interval, window, wrong_interval, wrong_window, slow_max, owed, wrong_owed = limits()
  local queries_at, wrongs_at = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  local queries = ahead_of(queries_at, tonumber(window))
  local wrongs = ahead_of(wrongs_at, tonumber(wrong_window))
  if owed + wrong_owed > 0 then
    queries = math.min(queries + owed * interval, tonumber(window))
    wrongs = math.min(wrongs + wrong_owed * wrong_interval, tonumber(wrong_window))
    keep(key, queries, wrongs)
  end
  if ARGV[1] == 'wrong' then
    keep(key, queries, math.min(wrongs + wrong_interval, tonumber(wrong_window)))
  elseif ARGV[1] == 'refund' then
    keep(key, math.max(queries - interval, 0), wrongs)
  else
    queries = queries + interval
    wait = math.max(wait, queries - window, wrongs + wrong_interval - wrong_window)
    slow = math.max(slow, slow_max * (queries / window - 0.8) / 0.2)
    spent[#spent + 1] = {key, queries, wrongs}
  end
end
if wait <= 0 then
  for _, one in ipairs(spent) do
    keep(one[1], one[2], one[3])
  end
end
return {math.ceil(wait), math.floor(slow + 0.5)}
"""
