"""What Redis does for the watch on wrong codes. The time is the server's, as for the limits (``throttle_script``)."""

from __future__ import annotations

from typing import Final

COUNT: Final = """
-- KEYS: a channel's counts, as the minute they began, whether a burst is on, and minute:count for each minute that had
-- any; what is older than twice the recent minutes is kept by that many minutes, so a value has some 170 numbers.
-- ARGV: least and times of a burst, minutes that are recent, minutes of the past, and minutes-ago:count to be added.
-- Returns the recent count, that of the past, its minutes, whether a burst is on and whether it begins.
local now = math.floor(redis.call('TIME')[1] / 60)
local least, times = tonumber(ARGV[1]), tonumber(ARGV[2])
local recent, past = tonumber(ARGV[3]), tonumber(ARGV[4])
local began, was_on, kept = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ([01]) (.*)$')
began = math.min(tonumber(began) or now, now)
local counts = {}
local function add(minute, count)
  if minute > now - recent - past and minute <= now then
    if minute <= now - 2 * recent then
      minute = minute - minute % recent
    end
    counts[minute] = (counts[minute] or 0) + count
  end
end
for minute, count in string.gmatch(kept or '', '(%d+):(%d+)') do
  add(tonumber(minute), tonumber(count))
end
for ago, count in string.gmatch(ARGV[5], '(%d+):(%d+)') do
  add(now - tonumber(ago), tonumber(count))
end
local fresh, older, words = 0, 0, {}
for minute, count in pairs(counts) do
  if minute > now - recent then
    fresh = fresh + count
  else
    older = older + count
  end
  words[#words + 1] = string.format('%d:%d', minute, count)
end
local seen = math.max(math.min(now - recent - began + 1, past), recent)
local on = fresh >= least and fresh > times * older * recent / seen
local value = string.format('%d %d %s', began, on and 1 or 0, table.concat(words, ' '))
redis.call('SET', KEYS[1], value, 'PX', (recent + past) * 60000)
return {fresh, older, seen, on and 1 or 0, on and was_on ~= '1' and 1 or 0}
"""

EXCHANGE: Final = """
-- KEYS: the stream of wrong codes. ARGV: after which entry to read, how many at most, how many are kept and how long
-- (milliseconds), and what to add. Returns the time (milliseconds) and the entries.
for index = 5, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], '*', 'c', ARGV[index])
end
if #ARGV >= 5 then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
local time = redis.call('TIME')
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
return {time[1] * 1000 + math.floor(time[2] / 1000), entries}
"""
