-- Adds hits to sliding windows, each of which counts for itself: what `charge.lua` does then, with less to do. Times are in
-- milliseconds.
--
-- KEYS[i]  the counter of charge i; one key may come more than once
-- ARGV     now, then for each charge three values: capacity, length of a part, hits (more than none)
-- returns  for each charge the counter before it; nothing for what is no counter, which is left as it is

local PARTS = 20
local EXACT = 9007199254740992 -- 2^53: beyond that not every whole number, so no time, is one of Lua's
local now = tonumber(ARGV[1])

-- A counter at the part `current`: hits in use, where the oldest of them stand, the newest part and its hits, and how much of
-- the text are pairs.
local function read(text, current)
  local used, from, length = 0, #text + 1, 0
  local newest, count
  for at, part, hits in string.gmatch(text, '()(%d+):(%d+)') do
    newest, count = part, hits
    length = length + #part + #hits + 2
    if part + PARTS >= current then
      from = math.min(from, at)
      used = used + hits
    end
  end
  return used, from, newest, count, length
end

local function add(key, text, capacity, part, hits)
  local current = math.floor(now / part)
  local used, from, newest, count, length = read(text, current)
  if text ~= '' and (length ~= #text + 1 or newest * part >= EXACT) then return false end
  if newest and tonumber(newest) > current then
    current = tonumber(newest)
    used, from = read(text, current)
  end
  if used >= capacity then return true end
  if newest and tonumber(newest) == current then
    -- When it is forgotten was said with the first hit of this part.
    local before = string.sub(text, from, -1 - #count)
    redis.call('SET', key, before .. string.format('%.0f', count + hits), 'KEEPTTL')
  else
    local before = from <= #text and string.sub(text, from) .. ' ' or ''
    -- As long as a counter that `charge.lua` writes.
    local left = (current + PARTS + 1) * part - now + 5000 + now % 5000
    redis.call('SET', key, string.format('%s%.0f:%.0f', before, current, hits), 'PX', string.format('%.0f', left))
  end
  return true
end

-- What counters that have only hits of the newest part look like, by the length of a part: most do, and are added to at once.
local newest, young = {}, {}
local reply = {}
for i, key in ipairs(KEYS) do
  local at = 3 * i - 1
  local capacity, part, hits = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if not young[part] then
    newest[part] = string.format('%.0f', math.floor(now / part))
    young[part] = '^' .. newest[part] .. ':(%d+)$'
  end
  local text = redis.pcall('GET', key) or ''
  local counted = type(text) == 'string'
  local count = counted and string.match(text, young[part])
  if count and count - capacity < 0 then
    redis.call('SET', key, string.format('%s:%.0f', newest[part], count + hits), 'KEEPTTL')
  else
    counted = counted and add(key, text, tonumber(capacity), tonumber(part), tonumber(hits))
  end
  reply[i] = counted and text
end
return reply
