"""The arithmetic of the limits as Redis runs it: GCRA (ITU-T I.371), the same as of the limits in one process.

The time is the server's. Callers' clocks differ by what their time servers allow, and one that is an hour ahead
would lock everybody else out; a monotonic clock is not shared. Where the server's own clock is set back, or a replica
with another one takes over, an allowance is whole again within one window, because no debt counts for more.
"""

from __future__ import annotations

from typing import Final

LIMITS: Final = """
-- KEYS: for each subject its queries and its wrong codes; each holds the microsecond at which it is whole again.
-- ARGV: what to do, then for each subject: interval and window of queries, interval and window of wrong codes
-- (microseconds), longest slowing (ms). Returns how long to wait (microseconds, 0: admitted) and to slow (ms).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function ahead_of(key, window)
  local at = tonumber(redis.call('GET', key) or now)
  return math.min(math.max(at - now, 0), window)
end

local function keep(key, ahead)
  if ahead <= 0 then
    redis.call('DEL', key)
  else
    redis.call('SET', key, string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000) + 1)
  end
end

local wait, slow, spent = 0, 0, {}
for subject = 0, #KEYS / 2 - 1 do
  local queries, wrongs = KEYS[2 * subject + 1], KEYS[2 * subject + 2]
  local at = 5 * subject + 1
  local interval, window = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local wrong_interval, wrong_window = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local slow_max = tonumber(ARGV[at + 5])
  if ARGV[1] == 'wrong' then
    keep(wrongs, math.min(ahead_of(wrongs, wrong_window) + wrong_interval, wrong_window))
  elseif ARGV[1] == 'refund' then
    keep(queries, ahead_of(queries, window) - interval)
  else
    wait = math.max(wait, ahead_of(wrongs, wrong_window) + wrong_interval - wrong_window)
    local ahead = ahead_of(queries, window) + interval
    wait = math.max(wait, ahead - window)
    slow = math.max(slow, slow_max * (ahead / window - 0.8) / 0.2)
    spent[#spent + 1] = {queries, ahead}
  end
end
if wait <= 0 then
  for _, one in ipairs(spent) do
    keep(one[1], one[2])
  end
end
return {math.ceil(wait), math.floor(slow + 0.5)}
"""
